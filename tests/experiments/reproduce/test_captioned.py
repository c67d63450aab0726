"""The data set of the experiments, from the world and from a folder of scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.neutral import read_samples
from geoprose.experiments.reproduce.captioned import build_captioned, clear_label, has_land_cover, read_captioned
from tests.experiments.reproduce.pictures import write_scenes, write_world

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captioned")
    write_world(folder)
    return build_captioned(folder / "data", folder / "world", limit=12)


def test_every_tile_of_the_world_is_captioned_once(world: Path) -> None:
    pictures = read_captioned(world)
    assert has_land_cover(pictures)
    assert {p.split for p in pictures} == {"train", "val", "test"}
    assert 6 <= sum(p.split == "train" for p in pictures) <= 12
    assert len({(p.split, p.image) for p in pictures}) == len(pictures)
    for picture in pictures:
        assert (world / picture.image).is_file()
        assert len(picture.cells) == 16
        assert len(picture.captions) == 1


def test_splits_show_other_places(world: Path) -> None:
    shown = {split: {p.image for p in read_captioned(world) if p.split == split} for split in ("train", "test")}
    assert not shown["train"] & shown["test"]


def test_test_samples_are_captions_and_queries_both_ways(world: Path) -> None:
    samples = read_samples(world / "test.jsonl")
    pictures = [p for p in read_captioned(world) if p.split == "test"]
    counts = {task: sum(s.task == task for s in samples) for task in ("caption", "image_to_text", "text_to_image")}
    assert counts == dict.fromkeys(counts, len(pictures))
    assert {s.task for s in read_samples(world / "train.jsonl")} == {"caption"}


def test_the_control_shows_every_query_another_picture(world: Path) -> None:
    right = {s.id: s.images for s in read_samples(world / "test.jsonl") if s.task == "image_to_text"}
    wrong = {s.id: s.images for s in read_samples(world / "shuffled.jsonl") if s.task == "image_to_text"}
    assert right.keys() == wrong.keys()
    assert sorted(right.values()) == sorted(wrong.values()), "the same pictures, in another order"
    assert all(right[name] != wrong[name] for name in right)


def test_scenes_bring_captions_and_names(tmp_path: Path) -> None:
    data = build_captioned(tmp_path / "data", write_scenes(tmp_path / "scenes"), limit=4)
    pictures = read_captioned(data)
    assert not has_land_cover(pictures)
    assert sum(p.split == "train" for p in pictures) == 4
    assert {p.label for p in pictures if p.split == "test"} == {"port", "dense forest", "desert"}
    assert all(len(p.captions) == 2 for p in pictures)
    train = read_samples(data / "train.jsonl")
    assert len(train) == 8, "one sample a caption"
    assert build_captioned(data, tmp_path / "gone", None) == data, "what is there is kept"


def test_other_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match=r"annotations\.jsonl"):
        build_captioned(tmp_path / "data", tmp_path / "other", None)


def test_a_label_is_clear_when_one_class_covers_half() -> None:
    assert clear_label([{"water": 1.0}, {"ice": 0.6, "water": 0.4}]) == "water"
    assert clear_label([{"water": 0.4, "ice": 0.3, "grass": 0.3}]) == ""
    assert clear_label([{}]) == ""
