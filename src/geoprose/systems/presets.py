"""Read presets: YAML with ``extends``, to validated specs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError, PresetError
from geoprose.core.preset_folder import PRESETS_DIR, PresetFolder
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import apply_overrides, merge, read_yaml, validate
from geoprose.systems.kinds import COMPOSITE, KINDS, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from geoprose.systems.spec import BaseSystemSpec

__all__ = ["PRESETS_DIR", "list_presets", "list_systems", "load_preset", "preset_values", "spec_type_of"]


def list_presets(kind: str = "systems") -> list[str]:
    """Return the names of the shipped presets of a kind (``systems``, ``recipes``, ``tasks``), without the bases."""
    return list(_folder(kind).names())


def preset_values(name: str, kind: str = "systems") -> dict[str, Any]:
    """Return a preset as merged values, ``extends`` resolved.

    Raises:
        PresetError: If the name or a base is unknown, or presets extend each other in a circle.
    """
    return _resolve(name, kind, ())


def list_systems(kind: str = COMPOSITE) -> list[str]:
    """Return the names of the shipped systems of one kind.

    Raises:
        ConfigError: If there is no such kind.
    """
    kind_of(kind)
    return [name for name in list_presets() if preset_values(name).get("kind", COMPOSITE) == kind]


def load_preset(name: str, overrides: Iterable[str] = ()) -> Any:
    """Return the spec of a shipped system preset: a ``SystemSpec``, or the spec of the kind that the preset names.

    Args:
        name: Name of the preset, or the path of a YAML file of one.
        overrides: ``"key.path=value"`` changes, applied before validation.

    Raises:
        PresetError: If the name is unknown; the message lists close names.
        ConfigError: If the preset or an override is not valid.
    """
    values = apply_overrides(preset_values(name), overrides)
    return validate(spec_type_of(values), values, f"system preset {name!r}")


def spec_type_of(values: dict[str, Any]) -> type[BaseSystemSpec]:
    """Return the class of the spec that these values are of.

    Raises:
        ConfigError: If they name an unknown kind.
    """
    kind = str(values.get("kind", COMPOSITE))
    if kind not in KINDS.names():
        raise ConfigError(unknown_name_message("kind of system", kind, KINDS.names()))
    return kind_of(kind).spec_type()


def _resolve(name: str, kind: str, children: tuple[str, ...]) -> dict[str, Any]:
    if name in children:
        raise PresetError(f"Presets extend each other in a circle: {' -> '.join((*children, name))}. Break it.")
    path = _find(name, kind)
    values = read_yaml(path)
    base = values.pop("extends", None)
    if not path.stem.startswith("_"):
        values.setdefault("name", path.stem)
    return values if base is None else merge(_resolve(str(base), kind, (*children, name)), values)


def _find(name: str, kind: str) -> Path:
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    return _folder(kind).find(name, with_bases=True)


def _folder(kind: str) -> PresetFolder:
    return PresetFolder(kind, f"{kind.removesuffix('s')} preset", PRESETS_DIR)
