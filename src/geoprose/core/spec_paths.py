"""Paths inside specs: one spelling for each place, so that a run is known again however its folder was written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ValidationError

from geoprose.core.spec import S, Spec

_PRESET_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class PathField:
    """Says that a field of text holds a path.

    Attributes:
        kind: ``place``: a file or folder, or nothing when empty. ``name_or_place``: the name of a preset, or the place
            of a folder or preset file. ``inside``: relative to a folder that is told elsewhere.
    """

    kind: Literal["place", "name_or_place", "inside"]

    def canonical(self, text: str) -> str:
        """Return the one spelling of the path: absolute, without links and detours; of ``inside`` without detours."""
        if not text:
            return text
        if self.kind == "inside":
            return Path(os.path.normpath(text)).as_posix()
        place = Path(text).expanduser()
        is_place = place.is_dir() or (place.suffix in _PRESET_SUFFIXES and place.is_file())
        return str(place.resolve()) if self.kind == "place" or is_place else text


Place = Annotated[str, PathField("place")]
NameOrPlace = Annotated[str, PathField("name_or_place")]
PlaceInside = Annotated[str, PathField("inside")]


def canonical_paths(spec: S) -> S:
    """Return a spec whose paths, and those of the specs inside it, are in their one spelling.

    Relative paths are taken from the folder that the process works in.
    """
    found = {}
    for name, info in type(spec).model_fields.items():
        value = getattr(spec, name)
        mark = next((part for part in info.metadata if isinstance(part, PathField)), None)
        found[name] = _inside(value) if mark is None else mark.canonical(value)
    return spec.model_copy(update={name: value for name, value in found.items() if value != getattr(spec, name)})


def _inside(value: Any) -> Any:
    if isinstance(value, Spec):
        return canonical_paths(value)
    if isinstance(value, tuple):
        return tuple(_inside(item) for item in value)
    if isinstance(value, dict):
        return {key: _inside(item) for key, item in value.items()}
    return value


def as_recorded_now(spec_type: type[Spec], values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a spec that an earlier release recorded as this one records them.

    Fields that came since have their defaults; paths are in their one spelling. Values that are no valid spec any more
    stay as they are, so that a list of differences names what is gone.
    """
    try:
        return canonical_paths(spec_type.model_validate(values)).model_dump(mode="json")
    except ValidationError:
        return values
