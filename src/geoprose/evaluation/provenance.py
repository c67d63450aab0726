"""What a run was made of: versions, hashes, hardware, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.files import sha256_file
from geoprose.training.logs.run_record import peak_memory_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = ("geoprose", "torch", "transformers", "tokenizers", "numpy", "scikit-learn", "rasterio", "pillow")
DATA_FILES = ("card.json", "train.jsonl", "val.jsonl", "test.jsonl")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def data_hashes(data_dir: Path, extra: Sequence[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of the records and the card of a data directory."""
    names = dict.fromkeys([*DATA_FILES, *extra])
    return {name: sha256_file(data_dir / name) for name in names if (data_dir / name).is_file()}


def hardware() -> dict[str, Any]:
    """Return processor, cores and the number of threads torch uses."""
    import torch

    return {"machine": platform.machine(), "cores": os.cpu_count(), "torch_threads": torch.get_num_threads()}


def peak_memory_mib() -> float:
    """Return the largest resident memory of this process so far, MiB."""
    return peak_memory_bytes() / (1 << 20)


def git_commit() -> str | None:
    """Return the commit of the source tree; None outside a git checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - the git of the user's path
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
