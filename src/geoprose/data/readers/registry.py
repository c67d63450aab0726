"""The table of readers; a task's YAML names one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError
from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.core.types import JsonValue
    from geoprose.data.readers.base import Reader

READERS: Registry[type[Reader]] = Registry(
    slot="reader",
    table={
        "neutral": "geoprose.data.readers.neutral:NeutralReader",
    },
)


def build_reader(name: str, options: Mapping[str, JsonValue]) -> Reader:
    """Build a reader by name.

    Raises:
        ConfigError: If the name is unknown, or the reader does not take the options.
    """
    chosen: Any = READERS.get(name)
    try:
        reader: Reader = chosen(**options)
    except TypeError as error:
        raise ConfigError(f"Reader {name} does not take {dict(options)}: {error}.") from error
    return reader
