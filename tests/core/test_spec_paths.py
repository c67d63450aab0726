"""Paths inside specs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import Field

from geoprose.core.spec import Spec
from geoprose.core.spec_paths import NameOrPlace, Place, PlaceInside, as_recorded_now, canonical_paths

if TYPE_CHECKING:
    from pathlib import Path


class Part(Spec):
    """A part of a job."""

    path: PlaceInside = "a.jsonl"


class Job(Spec):
    """Something with paths."""

    system: NameOrPlace = "demo"
    folder: Place = ""
    parts: tuple[Part, ...] = ()
    named: dict[str, Part] = Field(default_factory=dict)
    words: str = "./no/path"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data" / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("data/x")
    (tmp_path / "mine.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", ["data/x", "./data/x", "data//x/", "data/../data/x", "link", "{here}/data/x"])
def test_a_place_has_one_spelling(here: Path, text: str) -> None:
    spelt = text.format(here=here)
    whole = str((here / "data" / "x").resolve())
    assert canonical_paths(Job(folder=spelt, system=spelt)) == Job(folder=whole, system=whole)


def test_names_and_words_stay(here: Path) -> None:
    assert canonical_paths(Job(words="./data/x")) == Job(words="./data/x")
    assert canonical_paths(Job(system="runs/demo/system")).system == "runs/demo/system", "there is no such place"
    assert canonical_paths(Job(system="mine.yaml")).system == str((here / "mine.yaml").resolve())
    assert canonical_paths(Job(folder="not/yet")).folder == str((here / "not" / "yet").resolve())


def test_the_home_folder_is_spelt_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert canonical_paths(Job(folder="~/data/x")).folder == str((here / "data" / "x").resolve())


def test_specs_inside_specs_are_reached() -> None:
    job = Job(parts=(Part(path="./b.jsonl"),), named={"one": Part(path="c/../b.jsonl")})
    found = canonical_paths(job)
    assert (found.parts[0].path, found.named["one"].path) == ("b.jsonl", "b.jsonl")
    assert job.parts[0].path == "./b.jsonl", "the original is as it was"


def test_what_an_earlier_run_recorded_is_spelt_alike(here: Path) -> None:
    recorded = as_recorded_now(Job, {"folder": "./data/x"})
    assert recorded == canonical_paths(Job(folder=str(here / "data" / "x"))).model_dump(mode="json")
    assert as_recorded_now(Job, {"gone": 1}) == {"gone": 1}
