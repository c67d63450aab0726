"""Write the tables of comparison.py as Markdown, LaTeX, CSV or JSON.

Markdown and LaTeX are for reading: one table a task, marks with their reasons below it. CSV and JSON are for machines:
one line or object a number, nothing rounded.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from geoprose.evaluation.report.grid import Cell, Column, Comparison, SystemRow

DISPUTED, OTHER_RULE, FAULTY = "dagger", "double-dagger", "section"
FAULTY_WORDS = "a faulty variant, shown to reproduce printed numbers:"
CSV_COLUMNS = (
    *("task", "system", "type", "metric", "figure", "variant", "fault", "value", "unit", "ci95_low", "ci95_high", "n"),
    *("is_reference", "provenance", "cite", "disputed", "protocol_note"),
)
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip
_MARKS = {
    "markdown": {DISPUTED: "&dagger;", OTHER_RULE: "&Dagger;", FAULTY: "&sect;", "": ""},
    "latex": {DISPUTED: r"$^{\dagger}$", OTHER_RULE: r"$^{\ddagger}$", FAULTY: r"$^{\S}$", "": ""},
}


class _Notes:
    """Numbers the notes below a table; the same note is written once."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], int] = {}

    def number(self, mark: str, text: str) -> int:
        return self.entries.setdefault((mark, text), len(self.entries) + 1)

    def of_cell(self, cell: Cell) -> list[tuple[str, int]]:
        found = [(DISPUTED, self.number(DISPUTED, cell.disputed))] if cell.disputed else []
        return [*found, (OTHER_RULE, self.number(OTHER_RULE, cell.note))] if cell.note else found


def to_markdown(tables: Sequence[Comparison]) -> str:
    """Return GitHub tables, one a task, each with its notes."""
    return "\n".join(_markdown_table(table) for table in tables)


def _markdown_table(table: Comparison) -> str:
    notes, write = _Notes(), _markdown_text
    marks = _MARKS["markdown"]

    def marked(found: Iterable[tuple[str, int]]) -> str:
        return "".join(f"<sup>{marks[mark]}{number}</sup>" for mark, number in found)

    heads = [write(column.head) + marked(_head_notes(column, notes)) for column in table.columns]
    lines = [f"### {write(table.title)} (`{table.task.replace('`', '')}`)", ""]
    lines.append(f"| system | {' | '.join(heads)} | provenance |")
    lines.append(f"|---|{'--:|' * len(heads)}---|")
    for row in table.rows:
        cells = [_markdown_cell(row, place, notes, marked) for place in range(len(heads))]
        source = f"{row.provenance}<sup>{notes.number('', _cite(row))}</sup>"
        lines.append(f"| {write(row.system)} | {' | '.join(cells)} | {source} |")
    lines.append("")
    for (mark, text), number in notes.entries.items():
        lines.append(f"{number}. {marks[mark] + ' ' if mark else ''}{write(_note_words(mark, text))}")
    lines += ["", *(f"- {write(note)}" for note in table.notes), ""] if table.notes else [""]
    return "\n".join(lines)


def _markdown_cell(row: SystemRow, place: int, notes: _Notes, marked: Callable[[list[tuple[str, int]]], str]) -> str:
    cell = row.cells.get(place)
    return _numbers(cell) + marked(notes.of_cell(cell)) if cell else ""


def _markdown_text(text: str) -> str:
    """Escape what would end a cell or start markup; tags are shown, not obeyed."""
    one_line = " ".join(text.split())
    escaped = re.sub(r"([\\`*_\[\]|~])", r"\\\1", one_line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_latex(tables: Sequence[Comparison]) -> str:
    """Return booktabs tables, one a task; the preamble that they need is named in a comment."""
    head = "% \\usepackage{booktabs,graphicx}   written by geoprose report\n"
    return head + "\n".join(_latex_table(table) for table in tables)


def _latex_table(table: Comparison) -> str:
    notes, write, marks = _Notes(), latex_text, _MARKS["latex"]

    def marked(found: Iterable[tuple[str, int]]) -> str:
        return "".join(f"{marks[mark]}$^{{{number}}}$" for mark, number in found)

    heads = [_latex_head(column) + marked(_head_notes(column, notes)) for column in table.columns]
    body = _latex_body(table, notes, marked)
    entries = [
        f"$^{{{number}}}$ {marks[mark] + ' ' if mark else ''}{write(_note_words(mark, text))}"
        for (mark, text), number in notes.entries.items()
    ]
    entries += [write(note) for note in table.notes]
    lines = [
        r"\begin{table}[t]", r"\centering", rf"\caption{{{write(table.title)}.}}",
        r"\resizebox{\linewidth}{!}{%", rf"\begin{{tabular}}{{l{'r' * len(heads)}l}}", r"\toprule",
        f"system & {' & '.join(heads)} & provenance \\\\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}}",
        r"\par\smallskip\raggedright\footnotesize", *(f"{entry}\\par" for entry in entries), r"\end{table}", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _latex_head(column: Column) -> str:
    parts = [column.type, column.metric, *([column.variant] if column.variant else [])]
    return "\\shortstack{" + "\\\\".join(latex_text(part) for part in parts) + "}"


def _latex_body(table: Comparison, notes: _Notes, marked: Callable[[list[tuple[str, int]]], str]) -> list[str]:
    lines: list[str] = []
    was_reference = False
    for row in table.rows:
        if row.is_reference and not was_reference and lines:
            lines.append(r"\midrule")
        was_reference = row.is_reference
        found = [row.cells.get(place) for place in range(len(table.columns))]
        cells = [_numbers(cell, "--") + marked(notes.of_cell(cell)) if cell else "" for cell in found]
        source = f"{latex_text(row.provenance)}$^{{{notes.number('', _cite(row))}}}$"
        lines.append(f"{latex_text(row.system)} & {' & '.join(cells)} & {source} \\\\")
    return lines


def latex_text(text: str) -> str:
    """Escape every character that LaTeX would read as a command; control characters become spaces."""
    one_line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return "".join(_LATEX.get(char, char) for char in one_line)


def to_csv(tables: Sequence[Comparison]) -> str:
    """Return one line a number. Text that a spreadsheet would read as a formula gets a leading apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in tables:
        for row in table.rows:
            for place, cell in sorted(row.cells.items()):
                column = table.columns[place]
                writer.writerow([_csv_text(value) for value in _record(table, row, column, cell).values()])
    return buffer.getvalue()


def to_json(tables: Sequence[Comparison]) -> str:
    """Return the tables as JSON: per task its columns, and per system its numbers."""
    listed = [
        {
            "task": table.task,
            "title": table.title,
            "columns": [asdict(column) | {"head": column.head} for column in table.columns],
            "rows": [
                {
                    "system": row.system,
                    "provenance": row.provenance,
                    "cite": row.cite,
                    "is_reference": row.is_reference,
                    "cells": {str(place): asdict(cell) for place, cell in sorted(row.cells.items())},
                }
                for row in table.rows
            ],
            "notes": list(table.notes),
        }
        for table in tables
    ]
    return json.dumps({"tables": listed}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _record(table: Comparison, row: SystemRow, column: Column, cell: Cell) -> dict[str, object]:
    values = (
        *(table.task, row.system, column.type, column.metric, column.figure, column.variant, column.fault),
        *(cell.value, column.unit, cell.low, cell.high, cell.n),
        *(row.is_reference, row.provenance, row.cite, cell.disputed, cell.note or column.protocol),
    )
    return dict(zip(CSV_COLUMNS, values, strict=True))


def _csv_text(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _head_notes(column: Column, notes: _Notes) -> list[tuple[str, int]]:
    found = [(FAULTY, notes.number(FAULTY, column.fault))] if column.fault else []
    return [*found, ("", notes.number("", column.protocol))] if column.protocol else found


def _numbers(cell: Cell, dash: str = "-") -> str:
    value = f"{cell.value:.2f}" if cell.low is None or cell.high is None else f"{cell.value:.1f}"
    return value if cell.low is None or cell.high is None else f"{value} [{cell.low:.1f}{dash}{cell.high:.1f}]"


def _cite(row: SystemRow) -> str:
    return row.cite or "no record of the run"


def _note_words(mark: str, text: str) -> str:
    if mark == DISPUTED:
        return f"disputed: {text}"
    if mark == OTHER_RULE:
        return f"the source's own rule: {text}"
    return f"{FAULTY_WORDS} {text}" if mark == FAULTY else text


FORMATS: dict[str, Callable[[Sequence[Comparison]], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
}
