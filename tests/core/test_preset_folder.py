"""Presets by name: bases are hidden, unknown names list close ones, a path is taken as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoprose.core.errors import ConfigError, PresetError
from geoprose.core.preset_folder import PresetFolder
from geoprose.core.spec import Spec


@pytest.fixture
def folder(tmp_path: Path) -> PresetFolder:
    folder = PresetFolder("tasks", "task")
    folder.path = tmp_path
    for name in ("river", "forest", "_base"):
        (tmp_path / f"{name}.yaml").write_text("")
    return folder


def test_names_are_sorted_and_without_bases(folder: PresetFolder) -> None:
    assert folder.names() == ("forest", "river")
    assert folder.find("river") == folder.path / "river.yaml"


@pytest.mark.parametrize("name", ["rivr", "_base", "../river"])
def test_an_unknown_name_is_refused(folder: PresetFolder, name: str) -> None:
    with pytest.raises(PresetError, match=r"Unknown task .*Known: forest, river"):
        folder.find(name)


def test_bases_are_found_when_asked_for(folder: PresetFolder) -> None:
    assert folder.names(with_bases=True) == ("_base", "forest", "river")
    assert folder.find("_base", with_bases=True) == folder.path / "_base.yaml"
    with pytest.raises(PresetError, match="Known: forest, river"):
        folder.find("_basis", with_bases=True)


def test_a_spec_is_loaded_by_name_and_by_path(folder: PresetFolder) -> None:
    class River(Spec):
        length_m: int

    path = folder.path / "river.yaml"
    path.write_text("length_m: 5")
    assert folder.load(River, "river") == folder.load(River, path) == River(length_m=5)
    path.write_text("lenth_m: 5")
    with pytest.raises(ConfigError, match=r"river.yaml is not a valid River(.|\n)*length_m"):
        folder.load(River, "river")


def test_a_path_is_taken_as_it_is(folder: PresetFolder) -> None:
    assert folder.find_or_path("elsewhere/lake.yaml") == Path("elsewhere/lake.yaml")
    assert folder.find_or_path("forest") == folder.path / "forest.yaml"
