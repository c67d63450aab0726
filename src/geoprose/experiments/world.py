"""The packaged data set of the demo and of the reproductions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def packaged_world(world_dir: Path) -> Path:
    """Build the world from its packaged rasters unless ``world_dir`` holds it, and return the folder.

    Raises:
        AssetError: If an asset cannot be had.
        DataError: If the folder holds something else.
    """
    from geoprose.data.world.build import DEFAULT_SETTINGS, build_world

    card_path = world_dir / "card.json"
    if card_path.is_file():
        card = json.loads(card_path.read_text(encoding="utf-8"))
        if card.get("settings_sha256") == DEFAULT_SETTINGS.content_hash():
            return world_dir
    build_world(world_dir)
    return world_dir
