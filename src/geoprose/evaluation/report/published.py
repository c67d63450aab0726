"""Published numbers as rows of a table: beside ours where they are the same figure, or alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.evaluation.reference_numbers import ReferenceColumn, ReferenceNumber, all_numbers
from geoprose.evaluation.report.figures import PERCENT
from geoprose.evaluation.report.grid import Cell, Column, Comparison, SystemRow, find_column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def numbers_for(task: str) -> list[ReferenceNumber]:
    """Return the published numbers over the data of a task of ours."""
    return [number for number in all_numbers() if number.column.ours and task in number.column.ours.tasks]


def published_rows(
    numbers: Sequence[ReferenceNumber], columns: Sequence[Column]
) -> tuple[list[SystemRow], tuple[str, ...]]:
    """Return the rows of published systems for these columns, and the notes of their sources.

    A number of a source that follows another rule than the column's variant, or that does not say its rule, carries
    its own protocol as a note.
    """
    kept: dict[tuple[str, str], tuple[ReferenceNumber, dict[int, Cell]]] = {}
    for number in numbers:
        ours = number.column.ours
        place = None if ours is None else find_column(columns, ours.type, ours.figure, ours.variant)
        if ours is None or place is None:
            continue
        _, cells = kept.setdefault((number.source.name, number.system), (number, {}))
        cells[place] = _cell(number, "" if columns[place].is_of(ours.variant) else number.column.protocol)
    rows = [_row(system, number, cells) for (_, system), (number, cells) in kept.items()]
    return rows, _notes([number for number, _ in kept.values()])


def reference_tables(numbers: Sequence[ReferenceNumber] | None = None) -> list[Comparison]:
    """Return the published numbers alone, a table for each source."""
    found = all_numbers() if numbers is None else list(numbers)
    tables = []
    for name in dict.fromkeys(number.source.name for number in found):
        own = [number for number in found if number.source.name == name]
        columns = [_column(spec) for spec in own[0].source.columns.values()]
        cells: dict[str, dict[int, Cell]] = {}
        for number in own:
            cells.setdefault(number.system, {})[columns.index(_column(number.column))] = _cell(number, "")
        rows = tuple(_row(system, own[0], kept) for system, kept in cells.items())
        tables.append(Comparison(name, own[0].source.title, tuple(columns), rows, _notes(own)))
    return tables


def _cell(number: ReferenceNumber, note: str) -> Cell:
    return Cell(number.percent, None, None, number.column.n, number.disputed, note)


def _column(spec: ReferenceColumn) -> Column:
    name = f"{spec.data_set}, {spec.type}" if spec.type else spec.data_set
    return Column(name, spec.metric, spec.metric, "", PERCENT, protocol=spec.protocol)


def _row(system: str, number: ReferenceNumber, cells: Mapping[int, Cell]) -> SystemRow:
    return SystemRow(system, number.source.title, number.source.provenance, True, cells)


def _notes(numbers: Sequence[ReferenceNumber]) -> tuple[str, ...]:
    sources = {number.source.name: number.source for number in numbers}
    return tuple(f"{source.title}: {note}" for source in sources.values() for note in source.notes)
