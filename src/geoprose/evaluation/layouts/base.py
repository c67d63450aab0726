"""What a layout of prediction files is, and the row that every layout is read into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoprose.core.types import JsonValue

Record = Mapping[str, Any]
"""One object of a JSON file, or one line of a table by its column names."""

NOTHING: Mapping[str, Any] = MappingProxyType({})
"""Stands for every empty mapping, so that a million rows share one."""


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """One answer of somebody's prediction file.

    Attributes:
        id: Identifier; empty where the file gives none.
        prediction: Raw answer.
        references: Accepted answers that the file itself holds, repeats kept; empty where it holds none.
        type: Question type in the file's own words; empty where it has none.
        image: Name of the picture; empty where it has none. Intervals are clustered by it.
        prompt: The question.
        meta: Keys of docs/reference/sample-meta.md.
        scores: What the system gave each option (log-likelihood or similarity).
    """

    id: str
    prediction: str
    references: tuple[str, ...] = ()
    type: str = ""
    image: str = ""
    prompt: str = ""
    meta: Mapping[str, JsonValue] = field(default_factory=lambda: NOTHING)
    scores: Mapping[str, float] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True)
class Layout:
    """How one kit writes its predictions.

    Attributes:
        name: Name that the command line takes.
        title: Kit and kinds of files, for lists.
        source: Where the keys were read.
        keys: Sets of keys; a record with all keys of one set is of this layout. The largest set that fits decides
            between layouts.
        read: Turns a record into a row.
        codec: Box format of the answers; empty where the text must tell.
        reference_codec: Box format of references given as text; empty for the task's.
        fits: Further condition on a record, where keys alone do not tell two kits apart.
    """

    name: str
    title: str
    source: str
    keys: tuple[frozenset[str], ...]
    read: Callable[[Record], PredictionRow]
    codec: str = ""
    reference_codec: str = ""
    fits: Callable[[Record], bool] | None = None

    def match(self, record: Record) -> int:
        """Return how many keys of the largest fitting set the record has; 0 when it is not of this layout."""
        if self.fits is not None and not self.fits(record):
            return 0
        return max((len(keys) for keys in self.keys if keys <= record.keys()), default=0)
