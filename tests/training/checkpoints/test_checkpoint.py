"""Checkpoints are whole or absent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch

from geoprose.core.errors import TrainingError
from geoprose.training.checkpoints import checkpoint as checkpoints

if TYPE_CHECKING:
    from pathlib import Path


def _write(folder: Path, step: int) -> Path:
    final = checkpoints.checkpoint_path(folder, step)
    with checkpoints.atomic_folder(final) as temporary:
        checkpoints.write_tensors(temporary / "weights.safetensors", {"a": torch.full((4,), float(step))})
    return final


def test_round_trip_and_order(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        _write(tmp_path, step)
    newest = checkpoints.latest_checkpoint(tmp_path)
    assert newest is not None
    assert newest.name == "checkpoint-10"
    assert checkpoints.read_tensors(newest / "weights.safetensors")["a"].tolist() == [10.0] * 4
    checkpoints.prune_checkpoints(tmp_path, 2)
    assert [path.name for path in checkpoints.list_checkpoints(tmp_path)] == ["checkpoint-9", "checkpoint-10"]


def _fail(folder: Path) -> None:
    with checkpoints.atomic_folder(folder) as temporary:
        (temporary / "half").write_text("x")
        raise RuntimeError


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _fail(tmp_path / "checkpoint-1")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_folder_is_replaced(tmp_path: Path) -> None:
    _write(tmp_path, 1)
    with checkpoints.atomic_folder(checkpoints.checkpoint_path(tmp_path, 1)) as temporary:
        (temporary / "new").write_text("x")
    assert {path.name for path in checkpoints.checkpoint_path(tmp_path, 1).iterdir()} == {"new", "manifest.json"}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: _flip(folder / "weights.safetensors"),
        lambda folder: (folder / "weights.safetensors").unlink(),
        lambda folder: (folder / "weights.safetensors").write_bytes(b"short"),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, harm: object, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = _write(tmp_path, 1), _write(tmp_path, 2)
    harm(bad)  # type: ignore[operator]
    assert checkpoints.latest_checkpoint(tmp_path) == good
    assert "checkpoint-2 is passed over" in caplog.text


def test_orphans_are_swept(tmp_path: Path) -> None:
    kept = _write(tmp_path, 1)
    (tmp_path / ".tmp-checkpoint-2-123").mkdir()
    assert checkpoints.sweep_orphans(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [kept]


def test_manifest_lists_every_file(tmp_path: Path) -> None:
    folder = _write(tmp_path, 1)
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    assert set(listed) == {"weights.safetensors"}
    assert listed["weights.safetensors"]["bytes"] == (folder / "weights.safetensors").stat().st_size


def test_unreadable_tensors_are_explained(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match="cannot be read"):
        checkpoints.read_tensors(tmp_path / "x.safetensors")
