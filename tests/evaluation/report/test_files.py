"""A run's folder is read as far as it goes; what is broken is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import TaskError
from geoprose.core.types import GeoRef, Sample
from geoprose.evaluation.report.files import read_run, write_drawings
from tests.fixtures.runs import write_run

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_is_read(tmp_path: Path) -> None:
    files = read_run(write_run(tmp_path / "run"))
    assert (len(files.scores), files.scores[11].is_parsed, files.sources) == (12, False, ["shuffled"])
    assert files.data_dir == tmp_path / "run-data"
    assert sum(1 for _ in files.predictions()) == 12


def test_a_result_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"task": "x"}))
    files = read_run(tmp_path)
    assert (files.run, list(files.scores), files.sources, files.drawings()) == ({}, [], [], {})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("result.json", "{", "not JSON"),
        ("result.json", "[1]", "one JSON object, found list"),
        ("judgements.jsonl", "{}\n", "line 1 is no object with an id"),
        ("judgements.jsonl", "oops\n", "line 1 is not JSON"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / name).write_text(text)
    with pytest.raises(TaskError, match=message):
        read_run(tmp_path)


def test_a_folder_without_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="geoprose evaluate"):
        read_run(tmp_path)


def test_drawings_hold_footprints_and_boxes(tmp_path: Path) -> None:
    georef = GeoRef((0.5, 0, 10, 0, -0.5, 50), "EPSG:4326", 20, 10)
    samples = [
        Sample("a", ("x.png",), (), georefs=(georef,), meta={"boxes": [[1, 2, 3, 4]], "category": "left out"}),
        Sample("b", ("y.png",), ()),
    ]
    write_drawings(tmp_path, samples)
    (row,) = (json.loads(line) for line in (tmp_path / "drawings.jsonl").read_text().splitlines())
    assert row == {"id": "a", "boxes": [[1, 2, 3, 4]], "footprints": {"x.png": [10.0, 45.0, 20.0, 50.0]}}
    write_drawings(tmp_path, samples[1:])  # nothing to draw: an old file must not stay
    assert not (tmp_path / "drawings.jsonl").exists()
