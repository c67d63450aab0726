"""Find held-out windows worth asking about, for demos."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.world.classes import NAMES
from geoprose.data.world.records import shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue
    from geoprose.data.world.settings import WorldSettings
    from geoprose.data.world.survey import Survey
    from geoprose.data.world.tiles import TileFacts

NUM_PLACES = 12


def held_out_places(survey: Survey, labels_HW: NDArray[np.uint8], settings: WorldSettings) -> dict[str, JsonValue]:
    """Name held-out windows worth asking about: one large region and single tiles, the most varied first."""
    by_strip: dict[int, list[TileFacts]] = defaultdict(list)
    for facts in survey["test"]:
        column = facts.tile.x_px // settings.tile_px
        strip = next(i for i, band in enumerate(settings.test_bands) if band.first <= column <= band.last)
        by_strip[strip].append(facts)
    ranked = [sorted(group, key=lambda f: (-_variety(f.fractions_C), f.tile.id)) for group in by_strip.values()]
    in_turn = [group[rank] for rank in range(max(map(len, ranked))) for group in ranked if rank < len(group)]
    tiles: list[JsonValue] = [
        _place((f.tile.x_px, f.tile.y_px, f.tile.side_px), labels_HW, f.tile.id) for f in in_turn[:NUM_PLACES]
    ]
    return {"region": [_place(_best_region(survey, labels_HW, settings), labels_HW, "region")], "tiles": tiles}


def _best_region(survey: Survey, labels_HW: NDArray[np.uint8], settings: WorldSettings) -> tuple[int, int, int]:
    """Return ``(x, y, side)`` of the most varied square as wide as the widest held-out strip."""
    band = max(settings.test_bands, key=lambda strip: strip.last - strip.first)
    x_px, side = band.first * settings.tile_px, (band.last - band.first + 1) * settings.tile_px
    rows = sorted({facts.tile.y_px for facts in survey["test"]})
    tops = [y for y in rows if y + side <= labels_HW.shape[0]] or [rows[0]]
    return max(
        ((x_px, y, side) for y in tops), key=lambda window: (_variety(_composition(labels_HW, window)), -window[1])
    )


def _composition(labels_HW: NDArray[np.uint8], window: tuple[int, int, int]) -> NDArray[np.float64]:
    x_px, y_px, side = window
    part = labels_HW[y_px : y_px + side, x_px : x_px + side]
    counts = np.bincount(part.ravel(), minlength=256)[: len(NAMES)]
    return counts / part.size


def _variety(fractions_C: NDArray[np.float64]) -> float:
    """Return the entropy of a composition in nats."""
    present = fractions_C[fractions_C > 0]
    return float(-(present * np.log(present)).sum())


def _place(window: tuple[int, int, int], labels_HW: NDArray[np.uint8], name: str) -> dict[str, JsonValue]:
    x_px, y_px, side = window
    height_px, width_px = labels_HW.shape
    bottom = min(y_px + side, height_px)
    lon, lat = 360 / width_px, 180 / height_px
    return {
        "name": name,
        "bbox": [
            round(value, 9)
            for value in (lon * x_px - 180, 90 - lat * bottom, lon * (x_px + side) - 180, 90 - lat * y_px)
        ],
        "window_px": [x_px, y_px, side, bottom - y_px],
        "composition": shares(_composition(labels_HW, window)),
    }
