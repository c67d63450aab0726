from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from geoprose.assets import environment
from geoprose.assets.cache import cache_root, is_offline
from geoprose.assets.environment import environment_facts

if TYPE_CHECKING:
    from pathlib import Path


def facts(tmp_path: Path) -> dict[str, environment.EnvironmentFact]:
    return {fact.name: fact for fact in environment_facts(tmp_path)}


def fake_versions(monkeypatch: pytest.MonkeyPatch, requires: list[str], **versions: str) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(environment.metadata, "version", version)
    monkeypatch.setattr(environment.metadata, "requires", lambda _: requires)


def test_absent_packages_come_with_the_extra_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_versions(monkeypatch, [])
    found = facts(tmp_path)
    assert found["torch"].status == "missing"
    assert "geoprose[train]" in found["torch"].advice
    assert found["torchvision"].status == "ok"


@pytest.mark.parametrize(
    ("torch", "vision", "requires", "status"),
    [
        ("2.13.0", "0.28.0", ["torch==2.13.0"], "ok"),
        ("2.13.0+cpu", "0.28.0+cpu", ["torch==2.13.0"], "ok"),
        ("2.13.0+cpu", "0.28.0", ["torch==2.13.0"], "warning"),
        ("2.13.0", "0.27.0", ["numpy", "torch (==2.12.0)"], "warning"),
    ],
)
def test_torchvision_must_fit_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch: str, vision: str, requires: list[str], status: str
) -> None:
    fake_versions(monkeypatch, requires, torch=torch, torchvision=vision)
    assert facts(tmp_path)["torchvision"].status == status


def test_little_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1 << 30})()
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)
    fact = facts(tmp_path / "not" / "there" / "yet")["free disk"]
    assert fact.status == "warning"
    assert fact.value.startswith("1.0 GiB")


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from geoprose.assets.doctor import doctor\nfrom geoprose.assets.environment import environment_facts\n"
        "doctor(Path('absent')); environment_facts(Path('absent'))\n"
        "bad = {'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)\nassert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cache_folder_and_offline_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOPROSE_CACHE", str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    assert cache_root(tmp_path / "b") == tmp_path / "b"
    monkeypatch.delenv("GEOPROSE_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "geoprose"
    for value, expected in (("1", True), ("true", True), ("0", False), ("", False)):
        monkeypatch.setenv("GEOPROSE_OFFLINE", value)
        assert is_offline() is expected
