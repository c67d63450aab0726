"""Named YAML files of one kind that ship with geoprose: ``presets/<folder>/<name>.yaml``."""

from __future__ import annotations

from pathlib import Path

from geoprose.core.errors import PresetError
from geoprose.core.registry import unknown_name_message

PRESETS_DIR = Path(__file__).parent.parent / "presets"


class PresetFolder:
    """One folder of presets; a name with a leading underscore is a base that only others extend.

    Args:
        folder: Name below ``presets``.
        kind: Singular noun, for messages.
    """

    def __init__(self, folder: str, kind: str) -> None:
        self.path = PRESETS_DIR / folder
        self.kind = kind

    def names(self) -> tuple[str, ...]:
        """Return the names, sorted, without the bases."""
        return tuple(sorted(path.stem for path in self.path.glob("*.yaml") if not path.stem.startswith("_")))

    def find(self, name: str) -> Path:
        """Return the file of a preset.

        Raises:
            PresetError: If the name is unknown; close names are listed.
        """
        if name not in self.names():
            raise PresetError(unknown_name_message(self.kind, name, self.names()))
        return self.path / f"{name}.yaml"

    def find_or_path(self, name: str | Path) -> Path:
        """Return the file of a preset, or the path itself where it is that of a YAML file.

        Raises:
            PresetError: If the name is unknown; close names are listed.
        """
        return Path(name) if str(name).endswith((".yaml", ".yml")) else self.find(str(name))
