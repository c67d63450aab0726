"""Failures of the machine, in words a person can act on."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geoprose.core.errors import GeoproseError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = "No space left on device"
_DEAD_WORKER = "DataLoader worker"


@contextmanager
def explained(folder: Path, how_to_continue: str) -> Iterator[None]:
    """Turn a full disk and a killed reader process into errors that say what is safe and how to go on.

    Args:
        folder: Folder of the run.
        how_to_continue: Last sentence of the message.

    Raises:
        TrainingError: In place of the system's own error.
    """
    try:
        yield
    except GeoproseError:
        raise
    except Exception as error:
        text = str(error)
        if getattr(error, "errno", None) == errno.ENOSPC or _FULL in text:  # safetensors wraps the system's words
            free_mib = shutil.disk_usage(folder).free / 2**20
            raise TrainingError(
                f"The disk of {folder} is full ({free_mib:.0f} MiB left): {text}. Nothing half-written was kept, and "
                f"earlier checkpoints are whole. Free space, or keep fewer with keep_checkpoints. {how_to_continue}"
            ) from error
        if isinstance(error, RuntimeError) and _DEAD_WORKER in text:
            raise TrainingError(
                f"A process that reads batches died: {text.splitlines()[0]} Memory may have run out; try fewer "
                f"num_workers. Checkpoints are whole. {how_to_continue}"
            ) from error
        raise
