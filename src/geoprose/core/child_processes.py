"""Threads and environment of further processes of this program on this machine."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LAST_WORDS = 2000
"""Characters that are kept of what a failed process said."""
_KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
"""Keeping freed memory instead of returning it to the system saves a tenth of the training time (glibc; others do not
read it). A process cannot choose that for itself once it runs."""


def threads_each(num_threads: int, num_processes: int) -> int:
    """Return the threads of each of ``num_processes`` processes that share ``num_threads``, at least 1."""
    return max(1, num_threads // num_processes)


def child_environment(num_threads: int) -> dict[str, str]:
    """Return what a child process should have beside, or instead of, the environment of this one.

    What the user has set stays, but for the number of threads.
    """
    chosen = {name: value for name, value in _KEEP_MEMORY.items() if name not in os.environ}
    return {**chosen, "OMP_NUM_THREADS": str(num_threads)}


@contextmanager
def working_beside(commands: Sequence[Sequence[str]], num_threads: int) -> Iterator[Callable[[], str]]:
    """Run commands of this program beside the block; those that still run when the block ends or fails are ended.

    Args:
        commands: Words of each command.
        num_threads: Threads of each.

    Yields:
        A function that waits until all have ended and returns the last words of one that failed; "" when none did.
    """
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as said:

        def failure() -> str:
            failed = [code for code in [process.wait() for process in running] if code]
            if not failed:
                return ""
            said.seek(0)
            return said.read().decode(errors="replace").strip()[-_LAST_WORDS:] or f"It ended with status {failed[0]}."

        try:
            for command in commands:
                running.append(
                    subprocess.Popen(  # noqa: S603 - this program; arguments from validated options
                        command,
                        env={**os.environ, **child_environment(num_threads)},
                        stdout=subprocess.DEVNULL,
                        stderr=said,
                    )
                )
            yield failure
        finally:
            for process in running:
                if process.poll() is None:
                    process.terminate()
                process.wait()
