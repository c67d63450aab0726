"""Where assets are kept, and the lock that keeps two processes from writing the same one."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE_VARIABLE = "GEOPROSE_CACHE"
"""Environment variable: folder of the cache."""

OFFLINE_VARIABLE = "GEOPROSE_OFFLINE"
"""Environment variable: ``1`` forbids every download."""

logger = logging.getLogger(__name__)


def cache_root(cache_dir: Path | None = None) -> Path:
    """Return the folder of the cache: the argument, ``GEOPROSE_CACHE``, or the platform's cache folder."""
    if cache_dir is not None:
        return cache_dir
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "geoprose"
    if os.name == "nt" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "geoprose" / "Cache"
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "geoprose"


def is_offline() -> bool:
    """Tell whether ``GEOPROSE_OFFLINE`` forbids downloads."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no")


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Hold the lock called ``name`` of the cache ``root``; wait while another process holds it.

    The operating system frees the lock when its holder dies, so a killed process leaves nothing to clean up.
    """
    folder = root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+b") as handle:
        _acquire(handle.fileno(), name)
        yield


if sys.platform == "win32":  # pragma: no cover - not a tested platform

    def _acquire(descriptor: int, name: str) -> None:
        import msvcrt

        logger.debug("taking the lock %s", name)
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)

else:

    def _acquire(descriptor: int, name: str) -> None:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another process is preparing %s; waiting for it", name)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
