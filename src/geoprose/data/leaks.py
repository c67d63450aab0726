"""Find images that are in more than one split: by path, by pixels, by ground."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoprose.core.errors import GeoreferenceError
from geoprose.geo.geojson import polygon_to_lonlat
from geoprose.geo.pixels import corners_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from geoprose.core.types import GeoRef
    from geoprose.data.faults import Findings

MIN_OVERLAP = 1e-6
"""Share of the smaller footprint; neighbours that only touch share an edge, not an area."""

_CHUNK = 1024


@dataclass(frozen=True)
class Shown:
    """One image as one split shows it.

    Attributes:
        image: Path in the records.
        split: Name of the split.
        where: A record that shows it.
        georef: Where it lies, if known.
        digest: SHA-256 of its pixels, empty if it was not decoded.
    """

    image: str
    split: str
    where: str
    georef: GeoRef | None
    digest: str


def find_leaks(shown: Iterable[Shown], findings: Findings) -> None:
    """Report images that two splits share; an image that leaks by path is not reported again by pixels or ground."""
    named = [entry for entry in shown if entry.split]
    leaking = _shared(named, lambda entry: entry.image, "leak_path", findings)
    rest = [entry for entry in named if entry.image not in leaking]
    leaking |= _shared([entry for entry in rest if entry.digest], lambda entry: entry.digest, "leak_content", findings)
    _find_overlaps([entry for entry in rest if entry.image not in leaking], findings)


def _shared(shown: Iterable[Shown], key: Any, kind: str, findings: Findings) -> set[str]:
    by_key: dict[str, dict[str, Shown]] = defaultdict(dict)
    for entry in shown:
        by_key[key(entry)].setdefault(entry.split, entry)
    leaking: set[str] = set()
    for splits in by_key.values():
        if len(splits) > 1:
            findings.add(
                kind, " and ".join(f"{entry.image} in {split} ({entry.where})" for split, entry in splits.items())
            )
            leaking |= {entry.image for entry in splits.values()}
    return leaking


def _find_overlaps(shown: Sequence[Shown], findings: Findings) -> None:
    by_split: dict[str, list[Shown]] = defaultdict(list)
    seen: set[tuple[str, GeoRef]] = set()
    for entry in shown:
        # Many images of one footprint (dates, bands) are one question of ground.
        if entry.georef is not None and entry.georef.crs is not None and (entry.split, entry.georef) not in seen:
            seen.add((entry.split, entry.georef))
            by_split[entry.split].append(entry)
    if len(by_split) < 2:
        return
    shapes = _footprints(by_split, findings)
    names = list(by_split)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            _report_overlaps((shapes[first], by_split[first]), (shapes[second], by_split[second]), findings)


def _footprints(by_split: Mapping[str, list[Shown]], findings: Findings) -> dict[str, np.ndarray]:
    """One polygon per image: in the common CRS where there is one, else in longitude and latitude."""
    crss = {entry.georef.crs for group in by_split.values() for entry in group if entry.georef is not None}
    shapes: dict[str, np.ndarray] = {}
    for split, group in by_split.items():
        polygons = np.empty(len(group), dtype=object)
        for place, entry in enumerate(group):
            polygons[place] = _polygon(entry, len(crss) == 1, findings)
        shapes[split] = polygons
    return shapes


def _polygon(entry: Shown, is_native: bool, findings: Findings) -> Any:
    assert entry.georef is not None
    assert entry.georef.crs is not None
    corners = corners_map(entry.georef)
    if is_native:
        return shapely.Polygon(corners)
    try:
        return shapely.geometry.shape(polygon_to_lonlat(corners, entry.georef.crs))
    except GeoreferenceError as error:
        findings.add("georef_bad_crs", f"{entry.where}: {error}")
        return shapely.Polygon()


def _report_overlaps(
    first: tuple[np.ndarray, Sequence[Shown]], second: tuple[np.ndarray, Sequence[Shown]], findings: Findings
) -> None:
    """Report every image of the second split that shares ground with an image of the first."""
    shapes, others = first[0], second[0]
    tree = shapely.STRtree(shapes)
    for start in range(0, len(others), _CHUNK):
        chunk = others[start : start + _CHUNK]
        left, right = tree.query(chunk, predicate="intersects")
        shared = shapely.area(shapely.intersection(chunk[left], shapes[right]))
        smaller = np.minimum(shapely.area(chunk[left]), shapely.area(shapes[right]))
        is_overlap = shared > MIN_OVERLAP * smaller
        for place, partner in _first_partners(left[is_overlap], right[is_overlap]):
            a, b = second[1][start + place], first[1][partner]
            findings.add("leak_footprint", f"{a.image} in {a.split} ({a.where}) and {b.image} in {b.split} ({b.where})")


def _first_partners(left: np.ndarray, right: np.ndarray) -> list[tuple[int, int]]:
    partners: dict[int, int] = {}
    for place, partner in zip(left.tolist(), right.tolist(), strict=True):
        partners.setdefault(place, partner)
    return sorted(partners.items())
