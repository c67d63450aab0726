"""The land-cover vocabulary: which IGBP codes make one class of ours, in the order that every array uses.

Source: MODIS MCD12C1 collection 6 user guide, table of the International Geosphere-Biosphere Programme legend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNLABELLED = 255
"""Label of a pixel that belongs to none of our classes (wetlands, built-up land, fill value)."""


class LandClass(NamedTuple):
    """One class: its word in questions, the IGBP codes it groups, and a colour for maps."""

    name: str
    igbp_codes: tuple[int, ...]
    colour: str


CLASSES: tuple[LandClass, ...] = (
    LandClass("water", (0,), "#2b6cb0"),
    LandClass("forest", (1, 2, 3, 4, 5), "#1b7837"),
    LandClass("savanna", (8, 9), "#a6d96a"),
    LandClass("grass", (6, 7, 10), "#d9ef8b"),
    LandClass("crops", (12, 14), "#e6ab02"),
    LandClass("desert", (16,), "#f4d9b0"),
    LandClass("ice", (15,), "#dfe9f5"),
)
"""Open shrubland (6, 7) and grassland (10) are one class, since nothing tells them apart on these pixels. Codes 11
(wetlands) and 13 (built-up) stay unlabelled: at 7 km per pixel they cover under 1 % of the land."""

NAMES: tuple[str, ...] = tuple(land_class.name for land_class in CLASSES)
NUM_CLASSES = len(CLASSES)


def class_index(name: str) -> int:
    """Return the position of class ``name`` in every composition array."""
    return NAMES.index(name)


def igbp_lookup() -> NDArray[np.uint8]:
    """Return the table of 256 entries from IGBP code to class index, `UNLABELLED` where there is none."""
    table = np.full(256, UNLABELLED, np.uint8)
    for index, land_class in enumerate(CLASSES):
        table[list(land_class.igbp_codes)] = index
    return table
