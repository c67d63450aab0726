"""Settings of every test: one thread, no network but loopback, the repository's root on the path."""

from __future__ import annotations

import os
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest  # noqa: E402 - after the variables that libraries read at import

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _isolated_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's cache and away from the hub."""
    if "GEOPROSE_TEST_CACHE" in os.environ:
        monkeypatch.setenv("GEOPROSE_CACHE", os.environ["GEOPROSE_TEST_CACHE"])
        return
    monkeypatch.setenv("GEOPROSE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data sets, which never enter the repository; tests that need them skip without."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development data sets (../shared/data) are not on this machine")
    return folder
