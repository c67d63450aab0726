"""The values of a table for a paper: figures across, systems down, every row with its provenance."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OVERALL = "overall"
"""Stands for a question type in the column of the overall figure."""


@dataclass(frozen=True)
class Column:
    """One figure.

    Attributes:
        type: Question type; ``overall`` for the overall figure.
        figure: Key inside the block of the result, ``score`` for the score.
        metric: Name of the figure.
        variant: Protocol and variant that gave it; empty for a task's own metric.
        unit: Unit it is printed in.
        fault: Why its numbers must not be trusted; empty for a sound variant.
        is_default: Whether the variant is the task's own.
        protocol: A publication's rule in words, where the column is not one of ours.
    """

    type: str
    figure: str
    metric: str
    variant: str
    unit: str
    fault: str = ""
    is_default: bool = True
    protocol: str = ""

    def is_of(self, variant: str) -> bool:
        """Return whether the figure was given by a variant of this name."""
        return bool(variant) and self.variant.split(": ")[-1] == variant

    @property
    def head(self) -> str:
        """What stands above the column: question type, metric, protocol and variant."""
        words = f"{self.type}: {self.metric}" if self.metric else self.type
        return f"{words} ({self.variant})" if self.variant else words


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        value: In the column's unit.
        low: Lower end of the 95 % interval; None where there is none.
        high: Upper end.
        n: Answers; None where the source does not say.
        disputed: Why it is doubted; empty when nothing is known against it.
        note: How it was scored where that is not known to be the column's variant.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    disputed: str = ""
    note: str = ""


@dataclass(frozen=True)
class SystemRow:
    """One system's numbers.

    Attributes:
        system: Whose numbers they are.
        provenance: Where they come from, in few words.
        cite: What to cite, or how the run is identified.
        is_reference: Whether they are published rather than ours.
        cells: Numbers by the place of their column.
    """

    system: str
    provenance: str
    cite: str
    is_reference: bool
    cells: Mapping[int, Cell]


@dataclass(frozen=True)
class Comparison:
    """The table of one task.

    Attributes:
        task: Name of the task.
        title: Its heading.
        columns: The figures.
        rows: Our runs in the order given, then published systems.
        notes: What a reader of the table should know, from the sources of published numbers.
    """

    task: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[SystemRow, ...]
    notes: tuple[str, ...] = field(default=())


def find_column(columns: Sequence[Column], type_name: str, figure: str, variant: str) -> int | None:
    """Return the place of the column that shows a figure of a question type, of the named variant if it is there.

    Args:
        columns: Columns of a task's table.
        type_name: Question type; empty for the overall figure, which is the only type's where there is one type.
        figure: Key of the figure or name of the metric; spelling does not matter.
        variant: Name of the variant to prefer; the default's column is taken where it is empty or absent.
    """
    types = {column.type for column in columns}
    wanted = type_name or (OVERALL if OVERALL in types or len(types) != 1 else next(iter(types)))
    same = [
        place
        for place, column in enumerate(columns)
        if column.type == wanted and plain(figure) in (plain(column.figure), plain(column.metric))
    ]
    exact = [place for place in same if columns[place].is_of(variant)]
    return next(iter(exact or [place for place in same if columns[place].is_default]), None)


def plain(figure: str) -> str:
    """Return the name of a figure without case and punctuation: ``ROUGE-L`` and ``rouge_l`` are one figure."""
    return re.sub(r"[^a-z0-9]", "", figure.lower())
