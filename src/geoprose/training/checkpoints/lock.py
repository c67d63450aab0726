"""One process per run folder."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geoprose.core.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.errors import GeoproseError

LOCK_FILE = ".lock"


@contextmanager
def run_lock(folder: Path, name: str = LOCK_FILE, error: type[GeoproseError] = TrainingError) -> Iterator[None]:
    """Hold a lock of the folder; the operating system frees it when its holder dies, so a stale file does no harm.

    Args:
        folder: The run's folder, made where it is missing.
        name: The lock's file in it.
        error: What to raise.

    Raises:
        GeoproseError: ``error``, if another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with path.open("a+", encoding="utf-8") as handle:
        if not _try_lock(handle.fileno()):
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            raise error(f"{folder} is in use by {holder}. Wait for it, stop it, or choose another --out folder.")
        handle.seek(0)
        handle.truncate()
        handle.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        handle.flush()
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        return _try_lock_windows(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _try_lock_windows(descriptor: int) -> bool:  # pragma: no cover - not a tested platform
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
