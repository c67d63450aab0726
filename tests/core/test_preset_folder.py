"""Presets by name: bases are hidden, unknown names list close ones, a path is taken as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoprose.core.errors import PresetError
from geoprose.core.preset_folder import PresetFolder


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


def test_a_path_is_taken_as_it_is(folder: PresetFolder) -> None:
    assert folder.find_or_path("elsewhere/lake.yaml") == Path("elsewhere/lake.yaml")
    assert folder.find_or_path("forest") == folder.path / "forest.yaml"
