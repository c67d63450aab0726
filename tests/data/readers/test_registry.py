"""Every reader of the table: on a miniature of its layout, and on an empty folder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.neutral import write_samples
from geoprose.data.readers.registry import READERS, build_reader
from geoprose.data.records import sample_from_dict, sample_to_dict
from tests.fixtures import layouts
from tests.fixtures.datasets import clean_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MINIATURES: dict[str, tuple[Callable[[Path], Path], str, dict[str, Any], int]] = {
    "neutral": (clean_dataset, "train", {}, 0),
    "annotations": (layouts.annotations, "test", {"what": "scene"}, 2),
    "scene_folders": (layouts.aid, "test", {"data_set": "aid"}, 5),
    "rsvqa": (layouts.rsvqa_lr, "test", {"data_set": "lr"}, 2),
    "karpathy": (layouts.rsicd, "test", {"data_set": "rsicd"}, 2),
    "rsgpt": (layouts.rsgpt, "test", {"what": "qa"}, 1),
    "chatearthnet": (layouts.chatearthnet, "test", {}, 2),
    "rs5m": (layouts.rs5m, "train", {}, 2),
    "samrs": (layouts.samrs, "val", {}, 2),
    "geochat_bench": (layouts.geochat_bench, "test", {"what": "referring"}, 3),
    "dior": (layouts.dior, "test", {}, 2),
    "dior_rsvg": (layouts.dior_rsvg, "test", {}, 2),
    "vrsbench": (layouts.vrsbench, "val", {"what": "qa"}, 2),
    "dota": (layouts.dota, "val", {}, 3),
    "coco_detection": (layouts.coco, "val", {}, 2),
    "levir_cc": (layouts.levir_cc, "test", {}, 2),
    "change_pairs": (layouts.levir_cd, "test", {}, 2),
    "lrs_vqa": (layouts.lrs_vqa, "test", {}, 1),
    "mme_realworld_rs": (layouts.mme_realworld, "test", {}, 1),
}


def test_the_table_of_miniatures_is_complete() -> None:
    # Readers of general benchmarks have their own miniatures beside their own tests.
    assert set(MINIATURES) <= set(READERS.names())


@pytest.mark.parametrize("name", MINIATURES)
def test_samples_are_whole(name: str, tmp_path: Path) -> None:
    make, split, options, number = MINIATURES[name]
    reader = build_reader(name, options)
    assert split in reader.splits
    root = make(tmp_path)
    samples = list(reader.read(root, split))
    assert len(samples) == number or not number
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        assert sample_from_dict(sample_to_dict(sample), name) == sample  # survives the neutral format
        assert sample.messages[0].text.count("<image>") == len(sample.images)
        assert sample.messages[-1].role == "assistant"
        assert sample.messages[-1].text
        assert all((root / image).is_file() for image in sample.images)
    assert samples == list(build_reader(name, options).read(root, split))
    write_samples(samples, tmp_path / "out.jsonl")


@pytest.mark.parametrize("name", MINIATURES)
def test_an_empty_folder_is_answered_with_the_layout(name: str, tmp_path: Path) -> None:
    _, split, options, _ = MINIATURES[name]
    reader = build_reader(name, options)
    with pytest.raises(DataError) as caught:
        list(reader.read(tmp_path, split))
    assert reader.layout in str(caught.value)


@pytest.mark.parametrize("name", MINIATURES)
def test_a_split_that_is_not_there_is_refused_or_empty(name: str, tmp_path: Path) -> None:
    make, _, options, _ = MINIATURES[name]
    root = make(tmp_path)
    samples = []
    with contextlib.suppress(DataError):  # anything else is a crash
        samples = list(build_reader(name, options).read(root, "no_such_split"))
    assert samples == []


def test_unknown_readers_and_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="scene_folders"):
        build_reader("scene_folder", {})
    with pytest.raises(ConfigError, match="does not take"):
        build_reader("dota", {"version": 2})
