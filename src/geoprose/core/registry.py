"""One table per slot: a name to a lazily imported object.

Listing costs no import; an unknown name raises with the close ones; third parties add entries through the
entry-point group ``geoprose.<slot>s``.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from geoprose.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")


def unknown_name_message(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that ``name`` is unknown, list close names first, then all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names) or 'none'}."


def options_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of a part: ``{"type": name, **options}`` without the name."""
    return {key: value for key, value in part.items() if key != "type"}


class Registry(Generic[T]):
    """Names of one slot and the ``"module:attribute"`` each one stands for.

    Args:
        slot: Singular noun of the slot, for messages and for the entry-point group.
        table: Name to ``"module:attribute"``.
    """

    def __init__(self, slot: str, table: Mapping[str, str]) -> None:
        self.slot = slot
        self._targets = dict(table)
        self._has_entry_points = False

    def names(self) -> list[str]:
        """Return every registered name, sorted; imports nothing."""
        self._add_entry_points()
        return sorted(self._targets)

    def register(self, name: str, target: str) -> None:
        """Add ``name``; raise ConfigError if it already stands for something else."""
        known = self._targets.get(name)
        if known is not None and known != target:
            raise ConfigError(f"{self.slot} {name!r} is already registered as {known}; cannot also be {target}.")
        self._targets[name] = target

    def get(self, name: str) -> T:
        """Import and return what ``name`` stands for.

        Raises:
            ConfigError: If the name is unknown; the message lists close names.
        """
        self._add_entry_points()
        if name not in self._targets:
            raise ConfigError(unknown_name_message(self.slot, name, self._targets))
        module_name, _, attribute = self._targets[name].partition(":")
        return cast("T", getattr(import_module(module_name), attribute))

    def _add_entry_points(self) -> None:
        if self._has_entry_points:
            return
        self._has_entry_points = True
        for entry in entry_points(group=f"geoprose.{self.slot}s"):
            self.register(entry.name, entry.value)
