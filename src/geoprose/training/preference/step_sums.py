"""Sums over all micro-batches of an optimiser step, of all processes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from collections.abc import Mapping


class StepSums:
    """What ``fill`` counts before a step and ``loss_sum`` reads during it.

    The trainer fills all micro-batches of a step before it trains on the first, so the first reading closes the sums
    and the next ``add`` begins those of another step.
    """

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._closed: dict[str, float] | None = None

    def add(self, **values: float) -> None:
        """Count what one micro-batch adds."""
        if self._closed is not None:
            self._sums, self._closed = Counter(), None
        self._sums.update(values)

    def read(self) -> Mapping[str, float]:
        """Return the sums of the step over all processes; every process must read in every step."""
        if self._closed is None:
            names = sorted(self._sums)
            totals = distributed.sum_over_ranks([self._sums[name] for name in names])
            self._closed = dict(zip(names, totals, strict=True))
        return self._closed
