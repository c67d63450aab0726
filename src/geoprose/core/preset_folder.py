"""Named YAML files of one kind that ship with geoprose: ``presets/<folder>/<name>.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geoprose.core.errors import PresetError
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import read_yaml, validate

if TYPE_CHECKING:
    from geoprose.core.spec import S

PRESETS_DIR = Path(__file__).parent.parent / "presets"


class PresetFolder:
    """One folder of presets; a name with a leading underscore is a base that only others extend.

    Args:
        folder: Name below ``root``.
        kind: Singular noun, for messages.
        root: Folder of all presets.
    """

    def __init__(self, folder: str, kind: str, root: Path = PRESETS_DIR) -> None:
        self.path = root / folder
        self.kind = kind

    def names(self, with_bases: bool = False) -> tuple[str, ...]:
        """Return the names, sorted, without the bases unless they are asked for."""
        names = sorted(path.stem for path in self.path.glob("*.yaml"))
        return tuple(name for name in names if with_bases or not name.startswith("_"))

    def find(self, name: str, with_bases: bool = False) -> Path:
        """Return the file of a preset, or with ``with_bases`` also that of a base.

        Raises:
            PresetError: If the name is unknown; close names are listed.
        """
        if name not in self.names(with_bases):
            raise PresetError(unknown_name_message(self.kind, name, self.names()))
        return self.path / f"{name}.yaml"

    def find_or_path(self, name: str | Path) -> Path:
        """Return the file of a preset, or the path itself where it is that of a YAML file.

        Raises:
            PresetError: If the name is unknown; close names are listed.
        """
        return Path(name) if str(name).endswith((".yaml", ".yml")) else self.find(str(name))

    def load(self, spec_type: type[S], name: str | Path) -> S:
        """Return the validated spec of a preset that extends no other, by name or by the path of a YAML file.

        Raises:
            PresetError: If the name is unknown; close names are listed.
            ConfigError: If the YAML is wrong.
        """
        path = self.find_or_path(name)
        return validate(spec_type, read_yaml(path), path.name)
