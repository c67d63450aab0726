"""Which units micro-batch k holds: arithmetic in (seed, k), so resuming needs no replay."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.mixture import Mixture, Unit, generator

if TYPE_CHECKING:
    from collections.abc import Callable

_POOL_BATCHES = 50


class BatchPlan:
    """The order of a stage.

    Args:
        mixture: Units and their order.
        batch_size: Units of a micro-batch; the last one of an epoch may be smaller.
        length: Tokens of a unit; when given, batches hold units of similar length. Must not decode images.
    """

    def __init__(self, mixture: Mixture, batch_size: int, length: Callable[[Unit], int] | None = None) -> None:
        self.mixture = mixture
        self.batch_size = batch_size
        self._length = length
        self._batches = lru_cache(maxsize=2)(self._make_batches)

    @property
    def batches_per_epoch(self) -> int:
        """Micro-batches of one epoch."""
        return -(-len(self.mixture) // self.batch_size)

    def micro_batch(self, number: int) -> list[Unit]:
        """Return the units of micro-batch ``number``, counted from the start of the stage."""
        epoch, place = divmod(number, self.batches_per_epoch)
        return [self.mixture.unit(epoch, int(slot)) for slot in self._batches(epoch)[place]]

    def _make_batches(self, epoch: int) -> list[np.ndarray]:
        order = self.mixture.order(epoch)
        if self._length is not None:
            order = self._grouped(order, epoch)
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        if self._length is None:
            return batches
        return [batches[int(place)] for place in generator(self.mixture.seed, 3, epoch).permutation(len(batches))]

    def _grouped(self, order: np.ndarray, epoch: int) -> np.ndarray:
        """Sort each pool of 50 random batches by length, as transformers' LengthGroupedSampler does."""
        assert self._length is not None
        lengths = np.array([self._length(self.mixture.unit(epoch, int(slot))) for slot in order])
        pool = self.batch_size * _POOL_BATCHES
        pieces = []
        for start in range(0, len(order), pool):
            piece = order[start : start + pool]
            pieces.append(piece[np.argsort(-lengths[start : start + pool], kind="stable")])
        return np.concatenate(pieces)
