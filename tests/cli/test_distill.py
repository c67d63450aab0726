"""``geoprose distill``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path

TEACHER = {"system": "demo", "scale": "tiny", "seed": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_data(tmp_path_factory.mktemp("data"), 2)
    write_recipe(folder, [stage(steps=1, losses=[{"type": "kd_offline"}])], teacher=TEACHER)
    return folder


def test_a_student_learns_from_a_trained_system(data: Path, tmp_path: Path) -> None:
    """The teacher is the result of another run."""
    recipe = str(data / "recipe.yaml")
    first = ["distill", recipe, "--data", str(data), "--out", str(tmp_path / "first"), "--json"]
    trained = CliRunner().invoke(app, first)
    assert trained.exit_code == 0, trained.output
    teacher = json.loads(trained.stdout)["system_dir"]
    second = ["distill", recipe, "--teacher", teacher, "--data", str(data), "--out", str(tmp_path / "second")]
    result = CliRunner().invoke(app, second)
    assert result.exit_code == 0, result.output
    assert "stage align: 1 steps, last loss" in result.stdout
    record = json.loads((tmp_path / "second" / "run.json").read_text())
    assert record["recipe"]["teacher"]["system"] == teacher
    assert record["recipe"]["teacher"]["scale"] == "full"


def test_a_recipe_without_a_teacher_or_a_loss_for_it_is_refused(data: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, [stage()])
    result = CliRunner().invoke(app, ["distill", str(recipe), "--data", str(data)])
    assert isinstance(result.exception, ConfigError)
    assert "names no teacher" in str(result.exception)
    result = CliRunner().invoke(app, ["distill", str(recipe), "--data", str(data), "--teacher", "demo"])
    assert isinstance(result.exception, ConfigError)
    assert "nothing would be distilled" in str(result.exception)


def test_a_missing_teacher_is_named(data: Path, tmp_path: Path) -> None:
    arguments = ["distill", str(data / "recipe.yaml"), "--teacher", "no-such", "--data", str(data)]
    result = CliRunner().invoke(app, [*arguments, "--set", "teacher.scale=full", "--out", str(tmp_path / "run")])
    assert result.exit_code != 0
    assert "no-such" in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_the_shipped_recipe_runs_every_loss(data: Path, tmp_path: Path) -> None:
    arguments = ["distill", "distil-tiny", "--data", str(data), "--out", str(tmp_path / "run")]
    changes = ["--set", "stages.1.steps=1", "--set", "stages.1.data=[{path: train.jsonl}]", "--set", "stages.0.steps=1"]
    result = CliRunner().invoke(app, [*arguments, *changes])
    assert result.exit_code == 0, result.output
    (line,) = [json.loads(text) for text in (tmp_path / "run/stages/02-instruct/log.jsonl").read_text().splitlines()]
    assert set(line["parts"]) == {"kd_offline", "gkd", "reverse_kl_on_policy", "minillm", "feature_alignment"}
