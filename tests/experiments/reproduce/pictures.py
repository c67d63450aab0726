"""Small data sets for the three experiments: a synthetic world, and a folder in the layout of RSICD."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geoprose.data.world.build import build_world
from tests.fixtures.world import small_settings, write_globe, write_land_cover

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = {"Port": (20, 40, 160), "DenseForest": (20, 110, 30), "Desert": (220, 190, 120)}


def write_world(folder: Path) -> Path:
    """Build the world of the synthetic globe in ``folder / "world"``."""
    write_globe(folder / "globe.png")
    write_land_cover(folder / "cover.tif")
    build_world(folder / "world", small_settings(), folder / "globe.png", folder / "cover.tif")
    return folder / "world"


def write_scenes(folder: Path, per_split: int = 6) -> Path:
    """Write pictures of three scenes, told apart by colour, with two captions each."""
    rng = np.random.default_rng(0)
    rows = []
    for split in ("train", "val", "test"):
        for number in range(per_split):
            label = list(COLOURS)[number % len(COLOURS)]
            name = f"{split}_{number}.png"
            noise = rng.integers(-15, 16, (32, 32, 3))
            pixels = np.clip(np.array(COLOURS[label]) + noise, 0, 255).astype(np.uint8)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name)
            captions = [f"a picture of a {label.lower()}", f"{label.lower()} number {number} seen from above"]
            rows.append({"file": name, "label": label, "captions": captions, "split": split})
    (folder / "annotations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
