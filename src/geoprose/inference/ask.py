"""Ask one question about a scene: scenes, processing, models, answers, each visited once."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.answers.codecs import parse_answer
from geoprose.answers.corners import box_corners
from geoprose.answers.place import place_on_map
from geoprose.core.errors import GeoreferenceError, InputError
from geoprose.core.files import write_text
from geoprose.geo.pixels import map_to_pixel, pixel_to_map
from geoprose.inference.chip import Region, read_chip
from geoprose.inference.generate import Request, answer_batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.core.types import Answer, Box, GeoRef
    from geoprose.inference.chip import Chip
    from geoprose.scenes.bands import BandRequest
    from geoprose.scenes.scene import Stretch
    from geoprose.systems.build import System

MAX_NEW_TOKENS = 128
MAX_QUESTION_CHARACTERS = 4000
UNTRAINED = (
    "{system} is a preset, not a trained system: its connector is new, so the answer does not depend on the picture in "
    "any useful way. Train it (`geoprose train`, `make demo`) and give the folder."
)
NO_CRS = "The scene has no CRS: boxes are in pixels of the scene (origin top left), not on a map."


@dataclass(frozen=True)
class GeoAnswer:
    """What a system said about a scene, and where.

    Attributes:
        text: The generated text.
        answer: The text parsed; its boxes are in chip pixels.
        geojson: FeatureCollection in longitude and latitude; None for a scene without CRS.
        georef: Transform and CRS of the chip.
        gsd_m: Ground sampling distance at the chip's centre, metres per pixel in x and y; None without CRS.
        stretch: How bands were brought to eight bits; None when they were already.
        seconds: Wall time from opening the scene to the placed answer, loading the system included.
        note: What the reader must know, e.g. that boxes are pixels; empty when there is nothing.
        scene: One line about the scene.
        system: Name of the system.
        question: The question.
        boxes_scene_px: The boxes' upright hulls in pixels of the whole scene: ``(x_min, y_min, x_max, y_max)``.
    """

    text: str
    answer: Answer
    geojson: Mapping[str, Any] | None
    georef: GeoRef
    gsd_m: tuple[float, float] | None
    stretch: Stretch | None
    seconds: float
    note: str
    scene: str
    system: str
    question: str
    boxes_scene_px: tuple[tuple[float, float, float, float], ...]

    def to_file(self, path: str | Path) -> Path:
        """Write the GeoJSON, atomically.

        Raises:
            GeoreferenceError: If the scene has no CRS.
        """
        if self.geojson is None:
            raise GeoreferenceError(
                f"{self.scene.split('  ')[0]} has no CRS, so {Path(path).name} is not written: GeoJSON needs longitude "
                "and latitude. Assign a CRS with `gdal_edit.py -a_srs EPSG:<code>`, or take the pixel boxes of --json."
            )
        write_text(Path(path), json.dumps(self.geojson, allow_nan=False, ensure_ascii=False, indent=2) + "\n")
        return Path(path)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as one JSON object."""
        return {
            "scene": self.scene,
            "question": self.question,
            "system": self.system,
            "text": self.text,
            "status": self.answer.status,
            "problems": list(self.answer.problems),
            "boxes_chip_px": [_corners(box) for box in self.answer.boxes],
            "boxes_scene_px": [list(box) for box in self.boxes_scene_px],
            "geojson": self.geojson,
            "georef": {
                "transform": list(self.georef.transform),
                "crs": self.georef.crs,
                "width_px": self.georef.width_px,
                "height_px": self.georef.height_px,
            },
            "gsd_m": self.gsd_m,
            "stretch": None if self.stretch is None else _plain(self.stretch),
            "seconds": round(self.seconds, 3),
            "note": self.note,
        }


def ask(
    scene_path: str | Path,
    question: str,
    system: System | str | Path = "demo",
    region: Region | None = None,
    bands: BandRequest = None,
    codec: str | None = None,
) -> GeoAnswer:
    """Ask a question about a scene.

    Args:
        scene_path: GeoTIFF, JPEG 2000, PNG, JPEG or WebP file.
        question: Plain text.
        system: A system, the name of a preset, or the directory of a saved one.
        region: ``(min_lon, min_lat, max_lon, max_lat)``; pixels for a scene without CRS; None for the whole scene.
        bands: Bands for red, green and blue; the scene's own choice when None.
        codec: Box format of the answers; the system's own when None.

    Raises:
        SceneError: If the scene cannot be read or the region lies outside it.
        InputError: If the question is empty or too long.
        PresetError: If the system is unknown.
        ModelError: If its weights are damaged.
    """
    started = time.perf_counter()
    asked = _checked(question)
    chip = read_chip(scene_path, region, bands)
    loaded = _as_system(system)
    text = answer_batch(loaded, [Request((chip.picture,), asked)], MAX_NEW_TOKENS)[0]
    history = loaded.processor.image_processor.plan(*chip.picture.size).whole
    answer = parse_answer(text, codec or loaded.spec.box_format, history)
    has_crs = chip.georef.crs is not None
    return GeoAnswer(
        text=text,
        answer=answer,
        geojson=place_on_map(answer, chip.georef, asked) if has_crs else None,
        georef=chip.georef,
        gsd_m=chip.scene.gsd_m,
        stretch=chip.scene.stretch,
        seconds=time.perf_counter() - started,
        note=_note(system, has_crs),
        scene=chip.facts,
        system=loaded.spec.name,
        question=asked,
        boxes_scene_px=tuple(_in_scene(box, chip) for box in answer.boxes),
    )


def _note(system: System | str | Path, has_crs: bool) -> str:
    notes = [] if has_crs else [NO_CRS]
    if isinstance(system, (str, Path)) and not Path(system).is_dir():
        notes.append(UNTRAINED.format(system=system))
    return " ".join(notes)


def _checked(question: str) -> str:
    asked = question.strip()
    if not asked or len(asked) > MAX_QUESTION_CHARACTERS:
        raise InputError(f"The question has {len(asked)} characters; give 1 to {MAX_QUESTION_CHARACTERS}.")
    return asked


def _as_system(system: System | str | Path) -> System:
    if isinstance(system, (str, Path)):
        from geoprose.systems.load import load_answering_system

        return load_answering_system(system)
    return system


def _corners(box: Box) -> dict[str, Any]:
    corners = {"box": [box.x_min, box.y_min, box.x_max, box.y_max], "angle_deg": box.angle_deg, "label": box.label}
    return corners | ({} if box.score is None else {"score": box.score})


def _in_scene(box: Box, chip: Chip) -> tuple[float, float, float, float]:
    """Bring a box from pixels of the chip to pixels of the scene: its upright hull."""
    corners = [pixel_to_map(x, y, chip.georef) for x, y in box_corners(box)]
    xs, ys = zip(*(map_to_pixel(x, y, chip.scene_georef) for x, y in corners), strict=True)
    return float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))


def _plain(stretch: Stretch) -> Any:
    from dataclasses import asdict

    return json.loads(json.dumps(asdict(stretch), default=str))
