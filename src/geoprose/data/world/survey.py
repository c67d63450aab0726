"""Walk over the globe and keep the tiles worth asking about, by split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import DataError
from geoprose.data.world.classes import class_index
from geoprose.data.world.split import SPLITS, SplitName, column_splits, split_of_tile
from geoprose.data.world.tiles import Tile, TileFacts, digest_of, facts_of, turned

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from geoprose.data.world.settings import WorldSettings

Survey = dict[SplitName, list[TileFacts]]


def survey_world(picture_HWC: NDArray[np.uint8], labels_HW: NDArray[np.uint8], settings: WorldSettings) -> Survey:
    """Return the kept tiles of every split, from north to south, each row from west to east.

    Raises:
        DataError: If a split ends up without a tile.
    """
    side = settings.tile_px
    splits = column_splits(labels_HW.shape[1] // side, settings)
    survey: Survey = {name: [] for name in SPLITS}
    for name in SPLITS:
        stride = settings.train_stride_px if name == "train" else side
        for y_px, x_px in _corners(labels_HW.shape, stride, settings):
            if split_of_tile(x_px, side, splits) != name:
                continue
            window = (slice(y_px, y_px + side), slice(x_px, x_px + side))
            facts = facts_of(Tile(x_px, y_px, side, digest_of(picture_HWC[window])), labels_HW[window])
            if is_worth_asking(facts, settings):
                survey[name].append(facts)
    empty = [name for name in SPLITS if not survey[name]]
    if empty:
        raise DataError(
            f"No tile worth asking about in the split(s) {', '.join(empty)}: the land cover is too uniform."
        )
    return survey


def is_worth_asking(facts: TileFacts, settings: WorldSettings) -> bool:
    """Return whether a tile is neither open ocean nor bare ice nor mostly unlabelled."""
    fractions_C = facts.fractions_C
    return bool(
        fractions_C[class_index("water")] <= settings.max_water
        and fractions_C[class_index("ice")] <= settings.max_ice
        and fractions_C.sum() >= settings.min_labelled
    )


def turned_facts(facts: TileFacts, turn: int) -> TileFacts:
    """Return the facts of the tile after symmetry ``turn``: labels turn with the picture, so answers stay true."""
    tile = Tile(facts.tile.x_px, facts.tile.y_px, facts.tile.side_px, f"{facts.tile.digest}t{turn}", turn)
    return facts_of(tile, turned(facts.labels_HW, turn))


def _corners(shape: tuple[int, ...], stride: int, settings: WorldSettings) -> Iterator[tuple[int, int]]:
    height_px, width_px = shape
    px_per_deg = height_px / 180
    top = max(0, round((90 - settings.north_deg) * px_per_deg))
    bottom = min(height_px, round((90 - settings.south_deg) * px_per_deg))
    for y_px in range(top, bottom - settings.tile_px + 1, stride):
        for x_px in range(0, width_px // settings.tile_px * settings.tile_px - settings.tile_px + 1, stride):
            yield y_px, x_px
