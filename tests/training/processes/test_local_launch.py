"""A run divided over processes of this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError
from geoprose.training.processes.local_launch import divided, run_on_this_machine
from geoprose.training.recipes import load_recipe
from geoprose.training.run import run_recipe
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.training.run import RunResult

STAGES = [
    stage(accumulation=2, batch_size=3, packing="shared_prefix"),
    stage(
        name="instruct", trainable=["connector.*", "language_model.*"], batch_size=2, optimiser={"max_grad_norm": 0.5}
    ),
]


def test_micro_batches_are_shared_first_then_rows(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, STAGES))
    assert divided(recipe, 2) == ["stages.0.accumulation=1", "stages.1.batch_size=1"]
    with pytest.raises(ConfigError, match="Stage instruct takes 1 micro-batches of 2 rows a step, which 3 processes"):
        divided(recipe, 3)
    grouped = load_recipe(write_recipe(tmp_path, [stage(packing="length_grouped", batch_size=2)]))
    with pytest.raises(ConfigError, match="2 processes cannot share"):  # smaller groups would be other groups
        divided(grouped, 2)


def test_one_way_to_start_processes_at_a_time() -> None:
    done = CliRunner().invoke(app, ["train", "tiny", "--processes", "2", "--ray", "2"])
    assert done.exit_code == 2
    assert "give one" in done.output


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # torch leaves its log files open
def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path, 5)
    recipe = write_recipe(tmp_path, STAGES)
    alone = run_recipe(recipe, out_dir=tmp_path / "one", data_dir=data)
    told = {"recipe": str(recipe), "out_dir": tmp_path / "two", "data_dir": data}
    shared = run_on_this_machine(told, 2)
    assert shared.record["processes"] == 2
    ours, theirs = (load_file(run.system_dir / "model.safetensors") for run in (shared, alone))
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 2e-5
    losses = [[json.loads(line)["loss"] for line in log.read_text().splitlines()] for log in _logs(shared)]
    assert losses == [
        pytest.approx([json.loads(line)["loss"] for line in log.read_text().splitlines()], rel=1e-5)
        for log in _logs(alone)
    ]
    with pytest.raises(ConfigError, match=r"Process \d of 2 ended with status 2"):
        run_on_this_machine(told, 2)  # the folder holds a run


def _logs(run: RunResult) -> list[Path]:
    return sorted(run.out_dir.glob("stages/*/log.jsonl"))
