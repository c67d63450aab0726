"""Build the world: two global rasters in, a folder of scene, tiles, questions and data card out."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from geoprose.core.errors import DataError
from geoprose.core.files import write_json
from geoprose.data.llava import write_llava
from geoprose.data.neutral import write_samples
from geoprose.data.world.card import describe_alignment, describe_split, make_card, sources_of
from geoprose.data.world.places import held_out_places
from geoprose.data.world.questions import scored_questions, training_questions
from geoprose.data.world.rasters import check_alignment, measure_alignment, read_globe, read_labels
from geoprose.data.world.records import conversations, to_samples
from geoprose.data.world.scene import CARD_NAME, SCENE_NAME, write_scene
from geoprose.data.world.settings import WorldSettings
from geoprose.data.world.split import SPLITS, SplitName, check_leaks
from geoprose.data.world.survey import survey_world
from geoprose.data.world.tiles import Tile, globe_georef, turned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue, Sample
    from geoprose.data.world.balance import Candidate

logger = logging.getLogger(__name__)

DEFAULT_SETTINGS = WorldSettings()


def build_world(
    out_dir: Path,
    settings: WorldSettings = DEFAULT_SETTINGS,
    blue_marble: Path | None = None,
    land_cover: Path | None = None,
) -> dict[str, JsonValue]:
    """Build the demo's data set in ``out_dir``; the same inputs and settings give the same bytes.

    The folder holds ``blue_marble.tif``, ``images/``, ``train.jsonl``, ``val.jsonl``, ``test.jsonl`` (neutral records),
    the same as ``*.json`` in the LLaVA/GeoChat format, and ``card.json``. It is built beside ``out_dir`` and moved
    there at the end, so a failure leaves nothing half-written.

    Args:
        out_dir: Folder to make; an older world there is replaced.
        settings: What to build.
        blue_marble: Global picture; the asset ``blue-marble`` if None.
        land_cover: Land-cover GeoTIFF; the asset ``modis-land-cover-2019`` if None.

    Returns:
        The content of ``card.json``.

    Raises:
        AssetError: If an asset cannot be had.
        DataError: If ``out_dir`` holds something else, the rasters do not match, or splits leak.
    """
    _check_target(out_dir)
    if blue_marble is None or land_cover is None:
        from geoprose.assets.resolve import resolve

        blue_marble = blue_marble or resolve("blue-marble")
        land_cover = land_cover or resolve("modis-land-cover-2019")
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    try:
        card = _build_in(staging, settings, blue_marble, land_cover)
        staging.chmod(0o755)  # mkdtemp makes a private folder
        if out_dir.exists():
            shutil.rmtree(out_dir)
        staging.rename(out_dir)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return card


def _check_target(out_dir: Path) -> None:
    is_free = not out_dir.exists() or (out_dir.is_dir() and not any(out_dir.iterdir()))
    if not is_free and not ((out_dir / CARD_NAME).is_file() and (out_dir / SCENE_NAME).is_file()):
        raise DataError(f"{out_dir} exists and is not a built world, so it is not replaced. Give another folder.")


def _build_in(out_dir: Path, settings: WorldSettings, blue_marble: Path, land_cover: Path) -> dict[str, JsonValue]:
    started = time.perf_counter()
    picture_HWC = read_globe(blue_marble)
    height_px, width_px, _ = picture_HWC.shape
    labels_HW = read_labels(land_cover, height_px, width_px)
    alignment = measure_alignment(picture_HWC, labels_HW)
    check_alignment(alignment)
    globe = globe_georef(width_px, height_px)
    survey = survey_world(picture_HWC, labels_HW, settings)
    tiles = {name: [facts.tile for facts in survey[name]] for name in SPLITS}
    leaks = check_leaks(tiles, width_px, settings.buffer_columns * settings.tile_px)
    chosen: dict[SplitName, list[Candidate]] = {
        "train": training_questions(survey["train"], settings),
        "val": scored_questions(survey["val"], settings),
        "test": scored_questions(survey["test"], settings),
    }
    samples = {name: to_samples(chosen[name], name, globe) for name in SPLITS}
    write_scene(out_dir / SCENE_NAME, picture_HWC, globe)
    _write_tiles(out_dir, picture_HWC, chosen)
    _write_records(out_dir, samples)
    card = make_card(out_dir, sources_of(blue_marble, land_cover), samples) | {
        "geography": describe_split(survey, width_px, settings),
        "leak_check": leaks,
        "alignment": describe_alignment(alignment),
        "held_out_places": held_out_places(survey, labels_HW, settings),
        "settings": settings.model_dump(mode="json"),
        "settings_sha256": settings.content_hash(),
    }
    write_json(out_dir / CARD_NAME, card)
    counts = ", ".join(f"{len(samples[name])} {name}" for name in SPLITS)
    logger.info("built %s questions in %.1f s", counts, time.perf_counter() - started)
    return card


def _write_tiles(
    out_dir: Path, picture_HWC: NDArray[np.uint8], chosen: Mapping[SplitName, Sequence[Candidate]]
) -> None:
    """Write the picture of every tile that some question shows."""
    from PIL import Image

    (out_dir / "images").mkdir()
    shown: set[Tile] = {facts.tile for group in chosen.values() for candidate in group for facts in candidate.facts}
    for tile in sorted(shown, key=lambda tile: tile.id):
        window = picture_HWC[tile.y_px : tile.y_px + tile.side_px, tile.x_px : tile.x_px + tile.side_px]
        Image.fromarray(turned(window, tile.turn)).save(out_dir / tile.image_path, compress_level=1)


def _write_records(out_dir: Path, samples: Mapping[SplitName, Sequence[Sample]]) -> None:
    for name, group in samples.items():
        write_samples(group, out_dir / f"{name}.jsonl")
        write_llava(conversations(group), out_dir / f"{name}.json")
