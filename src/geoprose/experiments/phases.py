"""Wall seconds per phase of a run, and the memory it needed at its peak."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geoprose.core.provenance import peak_memory_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Phases:
    """Time the phases of a run.

    Args:
        on_phase: Called with the name of each phase as it begins.

    Attributes:
        seconds: Wall seconds of each finished phase, in order.
    """

    def __init__(self, on_phase: Callable[[str], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._on_phase = on_phase

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time what runs inside as phase ``name``."""
        if self._on_phase is not None:
            self._on_phase(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 2)

    @staticmethod
    def peak_memory_gib(num_beside: int = 0) -> float:
        """Return the largest resident memory so far of this process or of any child, GiB.

        Args:
            num_beside: Children that worked at once beside it; their memory is added.
        """
        return round(peak_memory_bytes(with_children=True, num_beside=num_beside) / 2**30, 3)
