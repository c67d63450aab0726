"""An interrupted run that is resumed ends with the very same numbers as one that was not."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.processes.signals import Interrupted, Terminated
from geoprose.training.run import RunResult, run_recipe
from geoprose.training.trainer import StageTrainer
from tests.fixtures.training import two_stages, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from collections.abc import Callable

needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="forks the test process")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_data(tmp_path_factory.mktemp("data"), num_images=5)
    write_recipe(folder, two_stages())
    return folder


def _run(data: Path, out: Path, resume: bool = False) -> RunResult:
    return run_recipe(data / "recipe.yaml", out_dir=out, resume=resume, data_dir=data)


@pytest.fixture(scope="module")
def reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _run(data, tmp_path_factory.mktemp("reference") / "run").out_dir


def _weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(out / "system" / "model.safetensors"))


def _losses(out: Path) -> list[dict[str, Any]]:
    lines = [
        json.loads(line) for path in sorted(out.glob("stages/*/log.jsonl")) for line in path.read_text().splitlines()
    ]
    return [{key: value for key, value in line.items() if key != "tokens_per_second"} for line in lines]


def _assert_same(out: Path, reference: Path) -> None:
    ours, theirs = _weights(out), _weights(reference)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert _losses(out) == _losses(reference)


def _at_step(monkeypatch: pytest.MonkeyPatch, stage: str, step: int, action: Callable[[], None]) -> None:
    original = StageTrainer.finish_step

    def finish_step(self: StageTrainer) -> None:
        original(self)
        if (self.stage.name, self.state.global_step) == (stage, step):
            action()

    monkeypatch.setattr(StageTrainer, "finish_step", finish_step)


def test_two_runs_are_bit_identical(data: Path, reference: Path, tmp_path: Path) -> None:
    assert len(_losses(reference)) == 4 + 6
    _assert_same(_run(data, tmp_path / "run").out_dir, reference)


@pytest.mark.parametrize(
    ("stage", "step", "number", "expected"),
    [("align", 2, signal.SIGTERM, Terminated), ("instruct", 3, signal.SIGINT, Interrupted)],
)
def test_signal_then_resume(  # noqa: PLR0917
    data: Path,
    reference: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    step: int,
    number: int,
    expected: type[Exception],
) -> None:
    # Step 3 of instruct is micro-batch 6 of an epoch of 3: in the middle of an epoch, between two logged epochs.
    with monkeypatch.context() as patch:
        _at_step(patch, stage, step, lambda: os.kill(os.getpid(), number))
        with pytest.raises(expected, match="--resume") as caught:
            _run(data, tmp_path / "run")
    assert caught.value.exit_code == 128 + number  # type: ignore[attr-defined]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"].startswith("stopped")
    assert not (tmp_path / "run" / "system").exists()
    result = _run(data, tmp_path / "run", resume=True)
    _assert_same(result.out_dir, reference)
    assert result.record["resumed"] == 1


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killed_run(data: Path, out: Path) -> None:
    child = multiprocessing.get_context("fork").Process(target=_run, args=(data, out))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL


@needs_fork
def test_kill_9_then_resume(data: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _at_step(patch, "instruct", 5, _die)  # the newest checkpoint is of step 4; the log already has step 5
        _killed_run(data, tmp_path / "run")
    _assert_same(_run(data, tmp_path / "run", resume=True).out_dir, reference)


@needs_fork
def test_kill_9_while_a_checkpoint_is_written(
    data: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = checkpoints._write_manifest

    def die_in_the_second(folder: Path) -> None:
        if "checkpoint-4" in folder.name:
            _die()
        original(folder)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_write_manifest", die_in_the_second)
        _killed_run(data, tmp_path / "run")
    folder = tmp_path / "run" / "stages" / "02-instruct" / "checkpoints"
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"checkpoint", ".tmp"}
    _assert_same(_run(data, tmp_path / "run", resume=True).out_dir, reference)
    assert not folder.exists(), "the finished stage replaces its checkpoints"


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    data: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _at_step(patch, "instruct", 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Terminated):
            _run(data, tmp_path / "run")
    newest = checkpoints.latest_checkpoint(tmp_path / "run" / "stages" / "02-instruct" / "checkpoints")
    assert newest is not None
    assert newest.name == "checkpoint-5"
    (newest / "optimiser.safetensors").write_bytes(b"damaged")
    _assert_same(_run(data, tmp_path / "run", resume=True).out_dir, reference)


def test_nothing_that_is_loaded_again_is_pickled(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _at_step(patch, "align", 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Terminated):
            _run(data, tmp_path / "run")
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and "tensorboard" not in path.parts]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jsonl", ""}


@needs_fork
@pytest.mark.slow
def test_kill_9_at_random_moments() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "resume.py"
    command = [sys.executable, str(script), "--kills", "3", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert len(result["killed_in"]) == 3
    assert [item["met"] for item in result["targets"]] == [True]
