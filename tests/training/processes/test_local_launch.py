"""A run divided over processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError
from geoprose.training.processes.local_launch import _launcher, divided, run_on_this_machine
from geoprose.training.recipes import load_recipe
from geoprose.training.run import run_recipe
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.training.run import RunResult

torch_leaves_its_log_files_open = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
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


def test_the_environment_of_children_ends_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    before = dict(os.environ)
    with _launcher(2):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["MALLOC_MMAP_MAX_"]) == ("2", "0")
        assert "TORCH_CPP_LOG_LEVEL" in os.environ
    assert dict(os.environ) == before


def test_one_way_to_start_processes_at_a_time() -> None:
    done = CliRunner().invoke(app, ["train", "tiny", "--processes", "2", "--ray", "2"])
    assert done.exit_code == 2
    assert "give one" in done.output


@pytest.mark.slow
@torch_leaves_its_log_files_open
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


@pytest.mark.slow
@torch_leaves_its_log_files_open
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_processes_with_a_checkpoint(tmp_path: Path, number: int, status: int) -> None:
    data = write_tiny_data(tmp_path, 5)
    recipe = write_recipe(tmp_path, [stage(batch_size=2, steps=400, save_every=1000, log_every=1)])
    words = ["train", str(recipe), "--data", str(data), "--out", str(tmp_path / "run"), "--processes", "2"]
    command = [sys.executable, "-m", "geoprose.cli", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as training:
        _wait_for_lines(tmp_path / "run", 3, training)
        training.send_signal(number)
        _, said = training.communicate(timeout=120)
    assert training.returncode == status, said
    assert "Traceback" not in said
    assert "--resume" in said
    stopped_at = len(_lines(tmp_path / "run"))
    assert 3 <= stopped_at < 400
    shared = run_on_this_machine(
        {"recipe": str(recipe), "out_dir": tmp_path / "run", "data_dir": data, "resume": True}, 2
    )
    assert [line["step"] for line in _lines(shared.out_dir)] == list(range(1, 401))


def _lines(out_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for log in out_dir.glob("stages/*/log.jsonl") for line in log.read_text().splitlines()]


def _wait_for_lines(out_dir: Path, count: int, training: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while len(_lines(out_dir)) < count:
        assert training.poll() is None, "it ended"
        assert time.monotonic() < until, "it did not begin"
        time.sleep(0.05)


def _logs(run: RunResult) -> list[Path]:
    return sorted(run.out_dir.glob("stages/*/log.jsonl"))
