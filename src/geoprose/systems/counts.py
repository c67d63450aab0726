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


@dataclass(frozen=True)
class Counts:
    """What one preset is at published size.

    Attributes:
        parameters: All parameters; a tied head counts once.
        by_part: Parameters of each part.
        visual_tokens: Image tokens in the text of a picture of the system's own size; None where pictures become no
            tokens of the text.
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
    from geoprose.systems.cost import parameters_by_part, visual_tokens

    spec: Any = load_preset(name)
    model: Any = build_meta_model(spec)
    by_part = parameters_by_part(model)
    own, by_size = None, {}
    if hasattr(spec, "packer"):
        side = spec.resolution.image_size
        own = visual_tokens(spec, model, side, side)
        by_size = {f"{width}x{height}": visual_tokens(spec, model, width, height) for width, height in SIZES_PX}
    return Counts(sum(by_part.values()), by_part, own, by_size)


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
