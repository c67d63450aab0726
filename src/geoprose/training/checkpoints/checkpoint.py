"""Checkpoints that exist whole or not at all: tensors in safetensors, everything else in JSON, no pickle.

A checkpoint is written beside its final place, flushed to the disk and renamed; ``manifest.json`` lists the size and
SHA-256 of every file, so a damaged one is recognised and passed over.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TrainingError
from geoprose.core.files import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_PREFIX = "checkpoint-"
_TEMPORARY = ".tmp-"


@contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Give a temporary folder; when the block ends well it becomes ``final`` with a manifest, else it is removed."""
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f"{_TEMPORARY}{final.name}-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        _write_manifest(temporary)
        if final.exists():
            shutil.rmtree(final)
        os.replace(temporary, final)
        _flush(final.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors; each is copied, so shared memory is no obstacle."""
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        TrainingError: If it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path} cannot be read: {error}. Delete its folder to fall back to the one before."
        ) from error


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return folder / f"{_PREFIX}{step}"


def list_checkpoints(folder: Path) -> list[Path]:
    """Return all checkpoints of a folder, oldest first."""
    found = [path for path in folder.glob(f"{_PREFIX}*") if path.name.removeprefix(_PREFIX).isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(_PREFIX)))


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint; damaged ones are named in the log and passed over."""
    for path in reversed(list_checkpoints(folder)):
        problem = damage(path)
        if problem is None:
            return path
        logger.warning("checkpoint %s is passed over: %s", path.name, problem)
    return None


def damage(folder: Path) -> str | None:
    """Return what is wrong with a folder that ``atomic_folder`` wrote, or None."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return "it has no manifest"
    try:
        listed: dict[str, Any] = json.loads(manifest.read_text())["files"]
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError):
        return "its manifest is damaged"
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != expected["bytes"]:
            return f"{name} is missing or has another size"
        if sha256_file(path) != expected["sha256"]:
            return f"{name} does not match its SHA-256"
    return None


def sweep_orphans(folder: Path) -> int:
    """Remove temporary folders that a killed process left; return how many. The caller holds the run's lock."""
    orphans = [path for path in folder.glob(f"{_TEMPORARY}*") if path.is_dir()]
    for path in orphans:
        shutil.rmtree(path, ignore_errors=True)
        logger.info("removed the unfinished %s", path.name)
    return len(orphans)


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` checkpoints."""
    for path in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(path)


def _write_manifest(folder: Path) -> None:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in paths:
        _flush(path)
    entries = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in paths
    }
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"files": entries}, indent=2) + "\n")
    _flush(manifest)
    _flush(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
