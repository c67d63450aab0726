"""Missing synonyms stop an experiment before it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import AssetError
from geoprose.experiments.reproduce.run import ReproduceOptions, run_reproduction
from geoprose.experiments.reproduce.synonyms import METEOR, fetch_synonyms
from tests.experiments.reproduce.pictures import write_scenes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def _no_wordnet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEOPROSE_ASSET_WORDNET", str(tmp_path / "absent"))


@pytest.mark.usefixtures("_no_wordnet")
def test_only_the_variant_that_reads_wordnet_wants_it() -> None:
    fetch_synonyms("meteor-exact-stem")
    with pytest.raises(AssetError, match="GEOPROSE_ASSET_WORDNET"):
        fetch_synonyms(METEOR)


@pytest.mark.usefixtures("_no_wordnet")
@pytest.mark.parametrize("name", ["fusion", "distillation"])
def test_an_experiment_misses_it_before_training(name: str, tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes", per_split=3)
    with pytest.raises(AssetError, match="GEOPROSE_ASSET_WORDNET"):
        run_reproduction(name, tmp_path / "run", ReproduceOptions("tiny", 1, tmp_path / "scenes", ()))
    assert not (tmp_path / "run" / "trials").exists()
