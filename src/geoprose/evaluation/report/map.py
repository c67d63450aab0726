"""Where the held-out tiles lie and how many of their questions were answered right."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from geoprose.evaluation.report import plots
from geoprose.geo.crs import to_lonlat
from geoprose.geo.pixels import pixel_to_map

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geoprose.core.types import GeoRef, Sample
    from geoprose.evaluation.scoring import Scored

BACKGROUND_NAME = "blue_marble.tif"
BACKGROUND_SIZE_PX = (1350, 675)

Extent = tuple[float, float, float, float]


def correctness_map(samples: Sequence[Sample], scored: Scored, types: Sequence[str], data_dir: Path) -> str | None:
    """Return the map as a data URI; None when no picture is georeferenced.

    Args:
        samples: Samples in the order of the judgements.
        scored: The system's judgements.
        types: Question types that count.
        data_dir: Where ``blue_marble.tif`` lies, if there is one.
    """
    footprints: dict[str, Extent] = {}
    scores: dict[str, list[float]] = defaultdict(list)
    for sample, judgement in zip(samples, scored.judgements, strict=True):
        for image, georef in zip(sample.images, sample.georefs, strict=False):
            if georef is not None and georef.crs is not None and sample.task in types:
                footprints.setdefault(image, _lonlat_extent(georef))
                scores[image].append(judgement.score)
    if not footprints:
        return None
    names = sorted(footprints)
    values = [sum(scores[name]) / len(scores[name]) for name in names]
    return plots.map_plot([footprints[name] for name in names], values, _background(data_dir / BACKGROUND_NAME))


def _lonlat_extent(georef: GeoRef) -> Extent:
    assert georef.crs is not None
    corners = [pixel_to_map(x, y, georef) for x in (0, georef.width_px) for y in (0, georef.height_px)]
    lons, lats = to_lonlat(np.array([x for x, _ in corners]), np.array([y for _, y in corners]), georef.crs)
    return float(np.min(lons)), float(np.min(lats)), float(np.max(lons)), float(np.max(lats))


def _background(path: Path) -> tuple[NDArray[np.uint8], Extent] | None:
    """Read the world picture small, through its overviews."""
    if not path.is_file():
        return None
    from geoprose.scenes.read import read_scene
    from geoprose.scenes.render import render_rgb, to_picture

    scene = render_rgb(read_scene(path, size_px=BACKGROUND_SIZE_PX))
    if scene.georef.crs is None:
        return None
    return np.asarray(to_picture(scene)), _lonlat_extent(scene.georef)
