"""What a recipe's system is, read from its preset or folder without building it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def spec_of(system: str, scale: str) -> Any:
    """Return the spec of a preset at a scale, or that of a saved system's folder.

    Raises:
        PresetError: If there is neither.
        ConfigError: If it is not valid.
        ModelError: If the folder was not written by geoprose.
    """
    from geoprose.systems.kinds import kind_of
    from geoprose.systems.load import load_spec
    from geoprose.systems.presets import load_preset

    if Path(system).is_dir():
        return load_spec(Path(system))
    spec = load_preset(system)
    return kind_of(spec.kind).tiny(spec) if scale == "tiny" else spec
