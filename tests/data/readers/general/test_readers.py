"""Every reader of a general benchmark on a miniature of its layout, on an empty folder, and on broken values."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.registry import READERS, build_reader
from geoprose.data.records import sample_from_dict, sample_to_dict
from tests.data.readers.general.miniatures import CASES
from tests.fixtures.damaged_json import damaged

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample

FEW: tuple[Any, ...] = (None, 5)
MANY: tuple[Any, ...] = ("", [], {}, True, -1.5, "x")


def _read(name: str, root: Path) -> list[Sample]:
    reader, _, split, options, _ = CASES[name]
    return list(build_reader(reader, options).read(root, split))


def test_every_registered_reader_of_the_folder_has_a_miniature() -> None:
    targets = {name: READERS.get(name).__module__ for name in READERS.names()}
    general = {name for name, module in targets.items() if ".general." in module}
    assert general <= {case[0] for case in CASES.values()}


@pytest.mark.parametrize("name", CASES)
def test_samples_are_whole(name: str, tmp_path: Path) -> None:
    root = CASES[name][1](tmp_path)
    samples = _read(name, root)
    assert len(samples) == CASES[name][4]
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        assert sample_from_dict(sample_to_dict(sample), name) == sample  # survives the neutral format
        marks = sum(message.text.count("<image>") for message in sample.messages)
        assert marks == len(sample.images) > 0
        assert sample.messages[-1].role == "assistant"
        assert sample.messages[-1].text
        assert all((root / image).is_file() for image in sample.images)


@pytest.mark.parametrize("name", CASES)
def test_a_second_reading_is_equal_and_writes_nothing(name: str, tmp_path: Path) -> None:
    root = CASES[name][1](tmp_path)
    first = _read(name, root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert _read(name, root) == first
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("name", CASES)
def test_an_empty_folder_is_answered_with_the_layout(name: str, tmp_path: Path) -> None:
    reader, _, split, options, _ = CASES[name]
    built = build_reader(reader, options)
    with pytest.raises(DataError) as caught:
        list(built.read(tmp_path, split))
    assert built.layout in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", CASES)
def test_a_split_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    reader, make, _, options, _ = CASES[name]
    with pytest.raises(DataError, match="no_such_split"):
        list(build_reader(reader, options).read(make(tmp_path), "no_such_split"))


@pytest.mark.parametrize("others", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[0] not in ("hub", "vlmevalkit")])
def test_no_value_of_a_json_file_makes_a_reader_crash(name: str, others: tuple[Any, ...], tmp_path: Path) -> None:
    root = CASES[name][1](tmp_path)
    for path in [*root.rglob("*.json"), *root.rglob("*.jsonl")]:
        before = path.read_text()
        for text in damaged(path, others):
            path.write_text(text)
            with contextlib.suppress(DataError):  # anything else is a crash
                _read(name, root)
        path.write_text(before)
