"""Threads and environment of further processes of this program on this machine."""

from __future__ import annotations

import os

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
