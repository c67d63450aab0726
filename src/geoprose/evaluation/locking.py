"""One process per run folder, or per shard of it; the second is refused and told who holds it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from geoprose.core.errors import TaskError
from geoprose.training.checkpoints.lock import run_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.evaluation.resume import Shard

PREFIX = ".lock"
POLL_S = 0.2


@contextmanager
def hold(out_dir: Path, name: str, wait_s: float = 0) -> Iterator[None]:
    """Hold a lock of a run folder; its file names process and host.

    The operating system frees it when its holder dies, so a file that a killed run left does no harm.

    Args:
        out_dir: The run's folder.
        name: Which lock.
        wait_s: How long to wait for its holder, seconds.

    Raises:
        TaskError: If another process holds it.
    """
    deadline = time.monotonic() + wait_s
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(run_lock(out_dir, f"{PREFIX}-{name}", TaskError))
                break
            except TaskError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(POLL_S)
        yield


@contextmanager
def hold_shard(out_dir: Path, shard: Shard) -> Iterator[None]:
    """Hold the lock of one shard; the shards of one run may be answered at the same time."""
    with hold(out_dir, shard.label):
        yield


def refuse_while_held(out_dir: Path, shard: Shard) -> None:
    """Refuse to clear a folder while another process works in it.

    Raises:
        TaskError: Naming the holder.
    """
    with ExitStack() as stack:
        for path in sorted(out_dir.glob(f"{PREFIX}-*")):
            name = path.name.removeprefix(f"{PREFIX}-")
            if name != shard.label:
                stack.enter_context(hold(out_dir, name))
