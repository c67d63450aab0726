"""Tables over runs: the variant in the head, published numbers only where they are the same figure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import TaskError
from geoprose.evaluation.report.comparison import compare_runs, find_runs
from geoprose.evaluation.report.published import reference_tables
from tests.fixtures.runs import block, write_run, write_suite

if TYPE_CHECKING:
    from pathlib import Path


def write_lr(folder: Path, system: str = "tiny") -> Path:
    """A run on RSVQA-LR with the names of its question types."""
    folder = write_run(folder, "rsvqa-lr", system=system)
    result = json.loads((folder / "result.json").read_text())
    types = {"presence": block(0.92, 2955), "comp": block(0.93, 4002), "rural_urban": block(0.94, 100)}
    (folder / "result.json").write_text(json.dumps(result | {"by_type": types, "overall": block(0.927, 7057)}))
    return folder


def test_a_suite_gives_a_table_for_each_task(tmp_path: Path) -> None:
    tables = compare_runs(
        find_runs([write_suite(tmp_path / "suite"), write_run(tmp_path / "other", "world", system="big")])
    )
    assert [(table.task, len(table.rows)) for table in tables] == [("rsicd-scene", 1), ("world", 2)]
    scene = tables[0]
    assert [column.head for column in scene.columns] == ["scene: accuracy (scene: exact)", "scene: AA (scene: exact)"]
    cell = scene.rows[0].cells[0]
    assert (cell.value, cell.low, cell.high, cell.n) == (50.0, 40.0, 60.0, 12)
    assert "data test.jsonl abababababab" in scene.rows[0].cite
    assert scene.rows[0].provenance == "this run"


def test_variants_have_columns_with_their_faults(tmp_path: Path) -> None:
    (table,) = compare_runs(find_runs([write_run(tmp_path / "run")]), has_variants=True)
    heads = {column.variant: column.fault for column in table.columns}
    assert heads == {"scene: exact": "", "scene: geochat": "", "scene: vhm-substring": "Empty counts."}


def test_systems_of_one_name_are_told_apart(tmp_path: Path) -> None:
    (table,) = compare_runs(find_runs([write_run(tmp_path / "a"), write_run(tmp_path / "b")]))
    assert [row.system for row in table.rows] == ["tiny (a)", "tiny (b)"]


def test_published_numbers_stand_below_ours_in_the_right_columns(tmp_path: Path) -> None:
    (table,) = compare_runs(find_runs([write_lr(tmp_path / "lr")]), has_references=True)
    assert [column.type for column in table.columns] == ["presence", "comp", "rural_urban", "overall"]
    rows = {row.system: row for row in table.rows}
    distilled = rows["Distilled GeoChat-7B"]
    assert [distilled.cells[place].value for place in range(4)] == [91.91, 92.88, 95.0, 92.5]
    assert distilled.is_reference
    assert "Fudan" in distilled.cite
    assert "not said" in distilled.cells[0].note  # its rule is not known to be ours
    assert any("mOA is the mean over questions" in note for note in table.notes)


def test_a_task_without_published_numbers_has_none(tmp_path: Path) -> None:
    (table,) = compare_runs(find_runs([write_run(tmp_path / "run", "world")]), has_references=True)
    assert [row.is_reference for row in table.rows] == [False]


def test_the_published_numbers_alone(tmp_path: Path) -> None:
    tables = {table.task: table for table in reference_tables()}
    brief = tables["brief-004"]
    assert len(brief.rows) == 6
    place = [column.head for column in brief.columns].index("UCMerced: AA")
    cells = {row.system: row.cells.get(place) for row in brief.rows}
    assert cells["GeoChat-7B"] is not None
    assert cells["GeoChat-7B"].disputed
    assert cells["GeoChat-13B"] is not None
    assert not cells["GeoChat-13B"].disputed
    assert cells["Qwen-VL"] is None


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="neither"):
        find_runs([tmp_path])
