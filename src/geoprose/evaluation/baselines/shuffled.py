"""Show every question another picture: what the system knows without seeing."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Sample


def derangement(names: Sequence[str], seed: int) -> dict[str, str]:
    """Map every name to another one: a random cycle through all of them.

    Raises:
        TaskError: If there is only one name.
    """
    ordered = sorted(set(names))
    if len(ordered) < 2:
        raise TaskError(f"Pictures cannot be shuffled: the task has {len(ordered)}. Evaluate on at least two pictures.")
    cycle = [ordered[place] for place in np.random.default_rng(seed).permutation(len(ordered))]
    return dict(pairwise([*cycle, cycle[0]]))


def shuffled_images(samples: Sequence[Sample], seed: int) -> list[tuple[str, ...]]:
    """Return the pictures to show for each sample: never one of its own.

    All questions of a picture get the same other picture. For several pictures each moves along the cycle by the same
    number of steps, the smallest that leaves no picture of the sample among those shown.

    Raises:
        TaskError: If the samples have too few pictures.
    """
    following = derangement([image for sample in samples for image in sample.images], seed)
    return [_moved(sample.images, following) for sample in samples]


def _moved(images: tuple[str, ...], following: dict[str, str]) -> tuple[str, ...]:
    shown = images
    for _ in range(len(following)):
        shown = tuple(following[image] for image in shown)
        if not set(shown) & set(images):
            return shown
    raise TaskError(
        f"No other pictures can stand for {', '.join(images)}: the task has only {len(following)} pictures."
    )
