"""A full disk and a killed reader end in one clear error, with everything that was saved still whole."""

from __future__ import annotations

import errno
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from geoprose.core.errors import ConfigError, TrainingError
from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.checkpoints import stage_checkpoint
from geoprose.training.processes.failures import explained
from geoprose.training.rows.batches import StageBatches
from geoprose.training.run import run_recipe
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data, the recipe, and a run that nothing disturbed."""
    folder = write_tiny_data(tmp_path_factory.mktemp("whole"), 3)
    write_recipe(folder, [stage(packing="shared_prefix", save_every=1)])
    _run(folder, folder / "run")
    return folder


def _run(folder: Path, out: Path, resume: bool = False, overrides: tuple[str, ...] = ()) -> Any:
    return run_recipe(folder / "recipe.yaml", overrides, out, resume, folder)


def _weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(out / "system" / "model.safetensors"))


def _same(out: Path, other: Path) -> bool:
    ours, theirs = _weights(out), _weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("words", ["OSError", "safetensors"])
def test_a_full_disk_leaves_the_earlier_checkpoint_and_no_rest(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    from safetensors import SafetensorError

    original, count = checkpoints.write_tensors, [0]

    def write_tensors(path: Path, tensors: Any) -> None:
        if path.name == "optimiser.safetensors":
            count[0] += 1
            if count[0] == 3:
                path.write_bytes(b"half")
                if words == "OSError":
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
                raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        original(path, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_tensors", write_tensors)
        with pytest.raises(TrainingError, match=r"disk of .* is full.*--resume"):
            _run(whole, tmp_path / "run")
    folder = tmp_path / "run" / "stages" / "01-align" / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-1", "checkpoint-2"]
    assert all(checkpoints.damage(path) is None for path in folder.iterdir())
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped: TrainingError"
    _run(whole, tmp_path / "run", resume=True)
    assert _same(tmp_path / "run", whole / "run")


def test_readers_ahead_make_the_same_batches(whole: Path, tmp_path: Path) -> None:
    _run(whole, tmp_path / "run", overrides=("stages.0.num_workers=2",))
    assert _same(tmp_path / "run", whole / "run")


def test_a_killed_reader_is_explained_and_the_run_goes_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, parent = StageBatches.__getitem__, os.getpid()

    def die_at_2(self: StageBatches, number: int) -> Any:
        if number == 2 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, number)

    overrides = ("stages.0.num_workers=1",)
    with monkeypatch.context() as patch:
        patch.setattr(StageBatches, "__getitem__", die_at_2)
        with pytest.raises(TrainingError, match=r"reads batches died.*num_workers.*--resume"):
            _run(whole, tmp_path / "run", overrides=overrides)
    _run(whole, tmp_path / "run", resume=True, overrides=overrides)
    assert _same(tmp_path / "run", whole / "run")


def test_every_change_of_the_recipe_is_listed(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: Any) -> None:
        raise TrainingError("stopped by the test")

    with monkeypatch.context() as patch:
        patch.setattr(stage_checkpoint.checkpoints, "write_tensors", stop)
        with pytest.raises(TrainingError, match="stopped by the test"):
            _run(whole, tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        _run(whole, tmp_path / "run", resume=True, overrides=("stages.0.steps=9", "seed=3", "trackers=[jsonl]"))
    lines = [line.strip() for line in str(caught.value).splitlines()[1:-1]]
    assert lines == [
        "stages.0.steps: 4 became 9",
        "seed: 0 became 3",
        "trackers: ['jsonl', 'tensorboard'] became ['jsonl']",
    ]


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    for error in (ValueError("other"), RuntimeError("other"), OSError(errno.EACCES, "other"), ConfigError("ours")):
        with pytest.raises(type(error), match=str(error.args[-1])), explained(tmp_path, "continue"):
            raise error
