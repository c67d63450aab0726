"""Base of every spec, and the one way from YAML to a validated, frozen object."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from geoprose.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAX_YAML_BYTES = 1_000_000


class Spec(BaseModel):
    """Base of every spec: immutable, closed, documented."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def content_hash(self) -> str:
        """Return the SHA-256 of the canonical JSON of this spec."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


S = TypeVar("S", bound=Spec)


class _NoAliasLoader(yaml.SafeLoader):
    """A safe loader that also refuses aliases, which can blow a small file up."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"aliases are not allowed (line {event.start_mark.line + 1})")
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping safely: no tags, no aliases, at most 1 MB.

    Raises:
        ConfigError: If the file is missing, too large, not YAML, or not a mapping.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist. Give the path of a YAML file.")
    if path.stat().st_size > MAX_YAML_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_YAML_BYTES} bytes, so it is not read as a spec.")
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoAliasLoader)  # noqa: S506 - derives from SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold a mapping at the top level, found {type(loaded).__name__}.")
    return loaded


def merge(base: Mapping[str, Any], difference: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``difference`` laid over it; mappings merge, anything else replaces.

    A mapping whose ``type`` changes replaces the base's mapping, since its other keys belong to another class.
    """
    merged = dict(base)
    for key, value in difference.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if _is_same_kind(old, value) else value
    return merged


def _is_same_kind(old: Any, new: Any) -> TypeGuard[Mapping[str, Any]]:
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return False
    return bool(new.get("type", old.get("type")) == old.get("type"))


def apply_overrides(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Apply ``"a.b.0.c=value"`` overrides; each value is read as YAML.

    Raises:
        ConfigError: If an override has no ``=`` or its path does not exist in a list.
    """
    result: dict[str, Any] = json.loads(json.dumps(dict(values)))
    for override in overrides:
        dotted, separator, raw = override.partition("=")
        if not separator or not dotted:
            raise ConfigError(f"Override {override!r} is not of the form key.path=value.")
        _set_at(result, dotted.split("."), yaml.safe_load(raw), override)
    return result


def _set_at(node: Any, keys: list[str], value: Any, override: str) -> None:
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(node, list):
            if not key.isdigit() or int(key) >= len(node):
                raise ConfigError(f"Override {override!r}: {key!r} is not an index of a list of {len(node)} items.")
            index: Any = int(key)
        elif isinstance(node, dict):
            index = key
            if not last:
                node.setdefault(key, {})
        else:
            raise ConfigError(f"Override {override!r}: {'.'.join(keys[:depth])!r} is a value, not a group of keys.")
        if last:
            node[index] = value
        else:
            node = node[index]


def validate(spec_type: type[S], values: Mapping[str, Any], where: str) -> S:
    """Build ``spec_type`` from ``values``; every fault is one readable line.

    Raises:
        ConfigError: Listing each wrong key with its path and, for unknown keys, the close known ones.
    """
    try:
        return spec_type.model_validate(dict(values))
    except ValidationError as error:
        lines = [_fault_line(fault, spec_type) for fault in error.errors(include_url=False, include_input=False)]
        raise ConfigError(f"{where} is not a valid {spec_type.__name__}:\n  " + "\n  ".join(lines)) from error


def _fault_line(fault: Any, spec_type: type[Spec]) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(spec_type)
        close = difflib.get_close_matches(str(fault["loc"][-1]), known, n=3, cutoff=0.6)
        message = "unknown key." + (f" Did you mean {', '.join(close)}?" if close else "")
    return f"{path}: {message}"


def _known_keys(spec_type: type[Spec]) -> list[str]:
    properties: set[str] = set()
    schema = spec_type.model_json_schema()
    for definition in [schema, *schema.get("$defs", {}).values()]:
        properties.update(definition.get("properties", {}))
    return sorted(properties)
