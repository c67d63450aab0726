"""Wall seconds per phase of a run, and the memory it needed at its peak."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from geoprose.core.provenance import peak_memory_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SECONDS_BETWEEN_SAMPLES = 0.5


class Phases:
    """Time the phases of a run, and watch the memory of this process and of those that it starts.

    Args:
        on_phase: Called with the name of each phase as it begins.

    Attributes:
        seconds: Wall seconds of each finished phase, in order.
    """

    def __init__(self, on_phase: Callable[[str], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._on_phase = on_phase
        self._sampled = 0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time what runs inside as phase ``name``."""
        if self._on_phase is not None:
            self._on_phase(name)
        start, over = time.perf_counter(), threading.Event()
        watch = threading.Thread(target=self._watch, args=(over,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()
            self.seconds[name] = round(time.perf_counter() - start, 2)

    def peak_memory_gib(self) -> float:
        """Return the largest resident memory so far, of all processes of the run together, GiB.

        Sums are samples, twice a second; memory that processes share counts in each of them.
        """
        return round(max(self._sampled, peak_memory_bytes(with_children=True)) / 2**30, 3)

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(SECONDS_BETWEEN_SAMPLES):
            self._sampled = max(self._sampled, _resident_bytes())


def _resident_bytes() -> int:
    """Return the resident memory of this process and of all below it."""
    total, own = 0, psutil.Process()
    for process in (own, *own.children(recursive=True)):
        try:
            total += int(process.memory_info().rss)
        except psutil.NoSuchProcess:  # it ended between the list and the question
            continue
    return total
