"""``geoprose train``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError
from geoprose.systems.save import save_system
from tests.fixtures.stopping import stopped_behind
from tests.fixtures.systems import tiny_system
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from click.testing import Result


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


def _invoke(recipe: Path, out: Path, *changes: str) -> Result:
    sets = [word for change in changes for word in ("--set", change)]
    return CliRunner().invoke(app, ["train", str(recipe), *sets, "--out", str(out), "--resume", "--json"])


@pytest.mark.parametrize(
    ("folder", "place"),
    [
        (".", "./{}"),
        (".", "../work/{}/"),
        (".", "{here}/{}"),
        ("data", "../{}"),
    ],
)
def test_a_run_goes_on_however_its_paths_are_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, place: str
) -> None:
    """A stopped run is known again by its places; another place is refused."""
    here = tmp_path / "work"
    (here / "data").mkdir(parents=True)
    write_tiny_data(here / "data", 2)
    save_system(tiny_system("demo", dtype=torch.float32), here / "start")
    recipe = write_recipe(here, [stage(steps=2, save_every=1)], scale="full")
    words = [f"{key}={{}}" for key in ("system", "data_dir", "stages.0.init_from")]
    names = ("start", "data", "start")

    monkeypatch.chdir(here)
    with stopped_behind(1):
        begun = _invoke(recipe, here / "run", *[word.format(name) for word, name in zip(words, names, strict=True)])
        assert begun.exit_code == 130
        raise KeyboardInterrupt  # click has made an exit code of it
    assert json.loads((here / "run" / "run.json").read_text())["recipe"]["data_dir"] == str((here / "data").resolve())

    monkeypatch.chdir(here / folder)
    spelt = [word.format(place.format(name, here=here)) for word, name in zip(words, names, strict=True)]
    spelt.append("stages.0.data.0.path=./train.jsonl")
    gone_on = _invoke(recipe, here / "run", *spelt)
    assert gone_on.exit_code == 0, gone_on.output
    record = json.loads(gone_on.stdout)["run"]
    assert (record["status"], record["resumed"]) == ("finished", 1)

    (here / "other").symlink_to("start")
    assert _invoke(recipe, here / "run", *spelt, f"system={here / 'other'}").exit_code == 0, "a link to the same place"
    shutil.copytree(here / "start", here / "copy")
    refused = _invoke(recipe, here / "run", *spelt, f"system={here / 'copy'}")
    assert isinstance(refused.exception, ConfigError)
    assert "start' became '" in str(refused.exception)
