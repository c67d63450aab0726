"""Where the pictures lie and how many of their questions were answered right: an inline SVG over a small picture."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.evaluation.report.charts import tag
from geoprose.geo.crs import to_lonlat
from geoprose.geo.pixels import pixel_to_map

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from markupsafe import Markup

    from geoprose.core.types import GeoRef, Sample
    from geoprose.evaluation.report.files import ScoreRow

BACKGROUND_NAME = "blue_marble.tif"
BACKGROUND_SIZE_PX = (1350, 675)
BACKGROUND_QUALITY = 72
WORLD = (-180.0, -60.0, 180.0, 84.0)
CLOSE_DEG = 12.0
"""Footprints that lie within so many degrees are shown close; others on a map of the world."""
WIDTH = 1080.0
MAX_HEIGHT = 720.0
STOPS = ((0.0, (197, 41, 50)), (0.5, (250, 240, 170)), (1.0, (43, 100, 180)))
"""Colours of a mean score of 0, one half and 1: told apart by the colour-blind too."""

Extent = tuple[float, float, float, float]


def footprints_of(sample: Sample) -> dict[str, list[float]]:
    """Return west, south, east and north in degrees of each georeferenced picture of a sample."""
    return {
        image: [round(value, 6) for value in _lonlat_extent(georef)]
        for image, georef in zip(sample.images, sample.georefs, strict=False)
        if georef is not None and georef.crs is not None
    }


def correctness_map(
    scores: Sequence[ScoreRow],
    drawings: Mapping[str, Mapping[str, Any]],
    types: Collection[str],
    data_dir: Path | None,
) -> Markup | None:
    """Return the map as SVG; None when no picture is georeferenced.

    Args:
        scores: How each sample was judged.
        drawings: Footprints by sample id.
        types: Question types that count.
        data_dir: Where ``blue_marble.tif`` lies, if there is one.
    """
    footprints: dict[str, Extent] = {}
    values: dict[str, list[float]] = defaultdict(list)
    for row in scores:
        if row.task not in types:
            continue
        for image, (west, south, east, north) in drawings.get(row.id, {}).get("footprints", {}).items():
            footprints.setdefault(image, (west, south, east, north))
            values[image].append(row.score)
    if not footprints:
        return None
    view = _view(list(footprints.values()))
    # Degrees of longitude shrink towards the poles; a close view shows the land in its shape.
    stretch = 1.0 if view == WORLD else float(np.cos(np.radians((view[1] + view[3]) / 2)))
    scale = min(WIDTH / ((view[2] - view[0]) * stretch), MAX_HEIGHT / (view[3] - view[1]))
    size = scale * (view[2] - view[0]) * stretch, scale * (view[3] - view[1])

    def placed(extent: Extent) -> dict[str, float]:
        west, south, east, north = extent
        across = (west - view[0]) * scale * stretch
        wide, high = (east - west) * scale * stretch, (north - south) * scale
        return {"x": across, "y": (view[3] - north) * scale, "width": max(wide, 3.0), "height": max(high, 3.0)}

    parts = [tag("rect", x=0, y=0, width=size[0], height=size[1], class_="sea")]
    if data_dir is not None and (background := _background(data_dir / BACKGROUND_NAME)):
        uri, extent = background
        parts.append(tag("image", href=uri, preserveAspectRatio="none", **placed(extent)))
    for name in sorted(footprints):
        mean = sum(values[name]) / len(values[name])
        words = f"{name}: {100 * mean:.0f} over {len(values[name])} questions"
        parts.append(tag("rect", tag("title", words), fill=colour_of(mean), class_="foot", **placed(footprints[name])))
    about = f"Map of {len(footprints)} pictures coloured by their mean score"
    box = f"0 0 {size[0]:.0f} {size[1]:.0f}"
    return tag("svg", tag("title", about), *parts, viewBox=box, role="img", aria_label=about)


def colour_of(value: float) -> str:
    """Return the colour of a mean score from 0 to 1; values outside are clipped."""
    value = min(max(value, 0.0), 1.0)
    (low, first), (high, second) = (STOPS[0], STOPS[1]) if value <= STOPS[1][0] else (STOPS[1], STOPS[2])
    part = (value - low) / (high - low)
    red, green, blue = (round(a + part * (b - a)) for a, b in zip(first, second, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _view(extents: Sequence[Extent]) -> Extent:
    """Return the world, or the surroundings of footprints that lie close together."""
    west, south = min(one[0] for one in extents), min(one[1] for one in extents)
    east, north = max(one[2] for one in extents), max(one[3] for one in extents)
    if east - west > CLOSE_DEG or north - south > CLOSE_DEG:
        return WORLD[0], min(WORLD[1], south), WORLD[2], max(WORLD[3], north)
    margin = 0.15 * max(east - west, north - south, 1e-4)
    return west - margin, south - margin, east + margin, north + margin


def _lonlat_extent(georef: GeoRef) -> Extent:
    assert georef.crs is not None
    corners = [pixel_to_map(x, y, georef) for x in (0, georef.width_px) for y in (0, georef.height_px)]
    lons, lats = to_lonlat(np.array([x for x, _ in corners]), np.array([y for _, y in corners]), georef.crs)
    return float(np.min(lons)), float(np.min(lats)), float(np.max(lons)), float(np.max(lats))


def _background(path: Path) -> tuple[str, Extent] | None:
    """Read the world picture small, through its overviews, and return it as a dimmed data URI."""
    if not path.is_file():
        return None
    from PIL import Image

    from geoprose.scenes.read import read_scene
    from geoprose.scenes.render import render_rgb, to_picture

    scene = render_rgb(read_scene(path, size_px=BACKGROUND_SIZE_PX))
    if scene.georef.crs is None:
        return None
    picture = np.asarray(to_picture(scene))
    grey = picture.mean(axis=-1, keepdims=True)
    dimmed = np.asarray(0.55 * picture + 0.30 * grey + 12, dtype=np.uint8)  # so that the footprints stand out
    buffer = io.BytesIO()
    Image.fromarray(dimmed).save(buffer, "JPEG", quality=BACKGROUND_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", _lonlat_extent(scene.georef)
