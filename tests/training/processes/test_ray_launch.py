"""Other launchers: what ships for accelerate can be read by it, and two workers of Ray do what one process does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError, ResourceError
from geoprose.core.preset_folder import PresetFolder
from geoprose.training.processes.elsewhere import absolute
from geoprose.training.processes.ray_launch import run_with_ray
from geoprose.training.run import run_recipe
from tests.fixtures.processes import needs_ray, start
from tests.fixtures.training import stage, write_recipe, write_tiny_data

LAUNCH = PresetFolder("launch", "launch configuration")


def test_without_ray_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.train", None)
    with pytest.raises(ResourceError, match=r"geoprose\[ray\].*torchrun"):
        run_with_ray({"recipe": "tiny"}, num_workers=2)


def test_workers_are_told_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(Path())
    told = absolute({"recipe": recipe, "data_dir": "data", "resume": True})
    here = Path.cwd()
    assert told == {
        "recipe": str(here / "recipe.yaml"),
        "data_dir": here / "data",
        "out_dir": here / "runs" / "tiny",
        "resume": True,
    }
    assert absolute({"recipe": "llava-1.5", "out_dir": "x"}) == {"recipe": "llava-1.5", "out_dir": here / "x"}
    with pytest.raises(ConfigError, match="no-such"):
        absolute({"recipe": "no-such"})


def test_a_tiny_run_needs_no_workers() -> None:
    result = CliRunner().invoke(app, ["train", "llava-1.5", "--tiny", "--ray", "2"])
    assert result.exit_code == 2
    assert "give one" in result.output


@needs_ray
@pytest.mark.slow
def test_two_workers_of_ray_train_the_model_of_one_process(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path, 3)
    values = stage(trainable=["connector.*", "language_model.*"], batch_size=1, accumulation=4)
    single, out = tmp_path / "single", tmp_path / "run"
    run_recipe(write_recipe(tmp_path, [values]), out_dir=single, data_dir=data)
    recipe = write_recipe(tmp_path, [{**values, "accumulation": 2}])
    command = ("geoprose.cli", "train", str(recipe), "--data", str(data), "--out", str(out), "--ray", "2")
    done = start(*command)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"system: {out / 'system'}" in done.stdout
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["processes"]) == ("finished", 2)
    ours, theirs = (load_file(folder / "system" / "model.safetensors") for folder in (out, single))
    assert ours.keys() == theirs.keys()
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 2e-5
    again = start(*command)
    assert again.returncode == 2, "a worker's error is the command's"
    assert "already holds a run" in again.stderr


@pytest.mark.parametrize("name", LAUNCH.names())
def test_accelerate_reads_the_configuration(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(LAUNCH.find(name)))  # refuses unknown keys
    assert config.num_processes == (1 if name == "one-gpu" else 8)
    assert config.distributed_type.value == {"one-gpu": "NO", "zero3": "DEEPSPEED"}.get(name, "MULTI_GPU")
    assert config.mixed_precision == "no"
