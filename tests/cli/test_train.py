"""``geoprose train``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError
from tests.fixtures.training import stage, write_recipe, write_tiny_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_data(tmp_path_factory.mktemp("data"), 2)
    write_recipe(folder, [stage(steps=1, packing="shared_prefix")])
    return folder


def test_a_dry_run_shows_the_plan(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["train", str(data / "recipe.yaml"), "--data", str(data), "--set", "stages.0.steps=7", "--dry-run"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "stage align: 7 steps, 7.00 epochs of 2 units (9 samples), losses lm, fp32" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_training_prints_where_the_system_is(data: Path, tmp_path: Path) -> None:
    arguments = ["train", str(data / "recipe.yaml"), "--data", str(data), "--out", str(tmp_path / "run"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert Path(printed["system_dir"]).is_dir()
    assert printed["run"]["status"] == "finished"
    again = CliRunner().invoke(app, [*arguments[:-1], "--resume"])
    assert "stage align: 1 steps, last loss" in again.stdout


def test_a_misspelt_key_is_a_usage_error(data: Path, tmp_path: Path) -> None:
    arguments = ["train", str(data / "recipe.yaml"), "--set", "sead=1", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code == 2
    assert "sead: unknown key. Did you mean seed" in str(result.exception)
    assert not (tmp_path / "run").exists()
