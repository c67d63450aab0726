"""Which units micro-batch k holds: arithmetic in (seed, k), so resuming needs no replay."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.mixture import Mixture, Unit, generator
from geoprose.training.rows.bins import first_fit_decreasing

if TYPE_CHECKING:
    from collections.abc import Callable

_POOL_BATCHES = 50
_POOL_UNITS = 1024


class BatchPlan:
    """The order of a stage.

    Args:
        mixture: Units and their order.
        batch_size: Units of a micro-batch, or packed rows; the last one of an epoch may be smaller.
        length: Tokens of a unit; when given, batches hold units of similar length. Must not decode images.
        capacity: Tokens of a packed row: units are packed first-fit decreasing, pool by pool of 1024 in random order.
    """

    def __init__(
        self,
        mixture: Mixture,
        batch_size: int,
        length: Callable[[Unit], int] | None = None,
        capacity: int | None = None,
    ) -> None:
        self.mixture = mixture
        self.batch_size = batch_size
        self.capacity = capacity
        self._length = length
        self._batches = lru_cache(maxsize=2)(self._make_batches)
        self._ends: list[int] = []

    @property
    def batches_per_epoch(self) -> int:
        """Micro-batches of one epoch; of the first one where rows are packed, which the order of an epoch decides."""
        return -(-len(self.mixture) // self.batch_size) if self.capacity is None else len(self._batches(0))

    def micro_batch(self, number: int) -> list[Unit]:
        """Return the units of micro-batch ``number``, counted from the start of the stage."""
        epoch, place = self._locate(number)
        return [self.mixture.unit(epoch, int(slot)) for slot in self._batches(epoch)[place]]

    def _locate(self, number: int) -> tuple[int, int]:
        if self.capacity is None:
            return divmod(number, self.batches_per_epoch)
        # Contract: how many rows an epoch packs into is a function of (seed, epoch); earlier epochs are counted once.
        while not self._ends or self._ends[-1] <= number:
            before = self._ends[-1] if self._ends else 0
            self._ends.append(before + len(self._batches(len(self._ends))))
        epoch = bisect_right(self._ends, number)
        return epoch, number - (self._ends[epoch - 1] if epoch else 0)

    def _make_batches(self, epoch: int) -> list[np.ndarray]:
        order = self.mixture.order(epoch)
        if self.capacity is not None:
            return self._packed(order, epoch, self.capacity)
        if self._length is not None:
            order = self._grouped(order, epoch)
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        if self._length is None:
            return batches
        return [batches[int(place)] for place in generator(self.mixture.seed, 3, epoch).permutation(len(batches))]

    def _lengths(self, order: np.ndarray, epoch: int) -> np.ndarray:
        assert self._length is not None
        return np.array([self._length(self.mixture.unit(epoch, int(slot))) for slot in order])

    def _grouped(self, order: np.ndarray, epoch: int) -> np.ndarray:
        """Sort each pool of 50 random batches by length, as transformers' LengthGroupedSampler does."""
        lengths = self._lengths(order, epoch)
        pool = self.batch_size * _POOL_BATCHES
        pieces = []
        for start in range(0, len(order), pool):
            piece = order[start : start + pool]
            pieces.append(piece[np.argsort(-lengths[start : start + pool], kind="stable")])
        return np.concatenate(pieces)

    def _packed(self, order: np.ndarray, epoch: int, capacity: int) -> list[np.ndarray]:
        """Pack each pool, then give every micro-batch ``batch_size`` random rows, in the order they were opened."""
        lengths = self._lengths(order, epoch)
        rows: list[np.ndarray] = []
        for start in range(0, len(order), _POOL_UNITS):
            pool = order[start : start + _POOL_UNITS]
            bins = first_fit_decreasing(lengths[start : start + _POOL_UNITS].tolist(), capacity)
            rows += [pool[np.array(members)] for members in bins]
        shuffled = generator(self.mixture.seed, 3, epoch).permutation(len(rows))
        chosen = [sorted(shuffled[start : start + self.batch_size]) for start in range(0, len(rows), self.batch_size)]
        return [np.concatenate([rows[int(place)] for place in places]) for places in chosen]
