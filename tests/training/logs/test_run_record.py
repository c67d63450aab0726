"""The record of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from geoprose.training.logs import run_record
from geoprose.training.recipes import load_recipe
from tests.fixtures.training import write_recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_time_and_resumes_add_up(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path))
    path = tmp_path / "run.json"
    run_record.RunRecord(path, recipe).write("running")
    first = json.loads(path.read_text())
    assert (first["resumed"], first["status"]) == (0, "running")
    run_record.RunRecord(path, recipe, {**first, "wall_seconds": 100.0, "peak_memory_bytes": 1e15}).write("finished")
    second = json.loads(path.read_text())
    assert (second["resumed"], second["started"]) == (1, first["started"])
    assert second["wall_seconds"] >= 100
    assert second["peak_memory_bytes"] == 1e15
    assert second["recipe_hash"] == recipe.content_hash()
