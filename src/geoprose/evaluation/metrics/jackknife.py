"""Scores of single items whose mean is a figure of the whole set, for figures that are neither a mean nor a ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MAX_BLOCKS = 50


def block_of(place: int, num_items: int) -> int:
    """Return the block that an item leaves the set with."""
    return place % min(num_items, MAX_BLOCKS)


def jackknife_scores(figure: float, without: Callable[[int], float], num_items: int) -> list[float]:
    """Return one value per item whose mean is ``figure`` and whose spread is that of the delete-a-block jackknife.

    A bootstrap over the values gives the jackknife's standard error. A single value may lie outside 0..1.

    Args:
        figure: The figure of the whole set.
        without: The figure without the items of a block, see ``block_of``.
        num_items: Items of the set.

    Source:
        Tukey's pseudo-values; Kuensch, The jackknife and the bootstrap for general stationary observations, 1989.
    """
    if num_items < 2:
        return [figure] * num_items
    num_blocks = min(num_items, MAX_BLOCKS)
    left_B = np.array([without(block) for block in range(num_blocks)])
    # The spread over blocks is that of a mean of num_items / num_blocks items: widened to that of single items.
    spread_B = (num_blocks - 1) * (left_B.mean() - left_B) * np.sqrt(num_items / num_blocks)
    values_N: NDArray[np.float64] = spread_B[np.arange(num_items) % num_blocks]
    centred: list[float] = (figure + values_N - values_N.mean()).tolist()
    return centred
