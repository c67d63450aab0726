"""Pictures that show nothing of what is asked: one colour, patches in disorder, another sample's picture."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from geoprose.evaluation.baselines.shuffled import shuffled_images
from geoprose.evaluation.diagnostics.derived import Condition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoprose.evaluation.diagnostics.conditions import Bench


def blank(pixels_HW3: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture of the mean colour of this one."""
    colour_3 = np.rint(pixels_HW3.reshape(-1, pixels_HW3.shape[2]).mean(0)).astype(np.uint8)
    return np.broadcast_to(colour_3, pixels_HW3.shape).copy()


def shuffled_patches(pixels_HW3: NDArray[np.uint8], rng: np.random.Generator, grid: int) -> NDArray[np.uint8]:
    """Return the picture cut into ``grid`` x ``grid`` patches in random order: colours and textures stay, places go.

    A border that does not divide stays where it is.
    """
    height, width = pixels_HW3.shape[0] // grid, pixels_HW3.shape[1] // grid
    if not height or not width:
        return pixels_HW3
    mixed = pixels_HW3.copy()
    for place, origin in enumerate(rng.permutation(grid * grid)):
        (row, column), (old_row, old_column) = divmod(place, grid), divmod(int(origin), grid)
        mixed[row * height : (row + 1) * height, column * width : (column + 1) * width] = pixels_HW3[
            old_row * height : (old_row + 1) * height, old_column * width : (old_column + 1) * width
        ]
    return mixed


def blank_condition(bench: Bench, seed: int) -> Condition:
    """Return the questions about pictures of their own mean colour: what a system says without seeing."""
    return Condition("blank", bench.samples, f"blank {seed}", blank)


def intact_condition(bench: Bench) -> Condition:
    """Return the questions about unchanged pictures."""
    return Condition("intact", bench.samples, "intact")


def swapped_condition(bench: Bench, seed: int) -> Condition:
    """Return the questions about the pictures of other samples.

    Raises:
        TaskError: If there are too few pictures.
    """
    others = shuffled_images(bench.samples, seed)
    samples = tuple(replace(sample, images=images) for sample, images in zip(bench.samples, others, strict=True))
    return Condition("swapped", samples, f"swapped {seed}")


def patches_condition(bench: Bench, seed: int, grid: int) -> Condition:
    """Return the questions about pictures whose patches are in disorder."""
    return Condition("patches", bench.samples, f"patches {grid} {seed}", partial(shuffled_patches, grid=grid))
