"""Parameters and visual tokens of every shipped preset, kept in a file so that a listing builds nothing.

``presets/counts.json`` is written by ``python -m geoprose.systems.counts`` and held by a test to what the presets give
on the meta device.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from geoprose.core.files import write_json
from geoprose.systems.presets import PRESETS_DIR, list_presets, load_preset

COUNTS_PATH = PRESETS_DIR / "counts.json"
SIZES_PX = ((448, 448), (1024, 768))
"""Pictures that the table counts tokens of, beside one of the system's own size; width and height."""
SMALLEST_TILE_PX = 112


@dataclass(frozen=True)
class Counts:
    """What one preset is at published size.

    Attributes:
        parameters: All parameters; a tied head counts once.
        by_part: Parameters of each part.
        visual_tokens: Visual tokens that the language model reads of one picture of the system's own size; None where
            there is no language model.
        visual_tokens_by_size: The same for other pictures, by ``"WIDTHxHEIGHT"``.
    """

    parameters: int
    by_part: dict[str, int]
    visual_tokens: int | None
    visual_tokens_by_size: dict[str, int]


def count_preset(name: str) -> Counts:
    """Build a preset on the meta device and count.

    Raises:
        PresetError: If the preset is unknown.
    """
    from geoprose.systems.build import build_meta_model
    from geoprose.systems.cost import parameters_by_part

    spec: Any = load_preset(name)
    model: Any = build_meta_model(spec)
    by_part = parameters_by_part(model)
    own, by_size = None, {}
    if hasattr(spec, "packer"):
        # Why: an encoder without tiles names the side of a patch, which is no picture.
        side = spec.resolution.image_size if spec.resolution.image_size >= SMALLEST_TILE_PX else SIZES_PX[0][0]
        own = _tokens(spec, model, side, side)
        by_size = {f"{width}x{height}": _tokens(spec, model, width, height) for width, height in SIZES_PX}
    return Counts(sum(by_part.values()), by_part, own, by_size)


def _tokens(spec: Any, model: Any, width_px: int, height_px: int) -> int:
    from geoprose.systems.cost import plan_of, visual_tokens

    if spec.packer.type == "media":  # one placeholder in the text; the tokens are read by cross-attention
        tokens: int = plan_of(spec, width_px, height_px).layout.num_tiles * model.model.num_visual_tokens
        return tokens
    return visual_tokens(spec, model, width_px, height_px)


@cache
def stored_counts() -> dict[str, Counts]:
    """Return the counts in the file, by preset."""
    values = json.loads(COUNTS_PATH.read_text(encoding="utf-8")) if COUNTS_PATH.is_file() else {}
    return {name: Counts(**value) for name, value in values.items()}


def write_counts() -> None:
    """Count every shipped preset and write the file."""
    write_json(COUNTS_PATH, {name: asdict(count_preset(name)) for name in list_presets()})


if __name__ == "__main__":
    write_counts()
