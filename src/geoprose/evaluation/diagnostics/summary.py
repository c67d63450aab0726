"""The result of a diagnostic as plain text: the headline, then every table of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.report.figures import show, show_plain, unit_of_block

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ROWS = 40
MAX_CELL = 48


def summary(result: Mapping[str, Any]) -> str:
    """Return the headline with its interval, the tables as aligned text, what is missing, and the warnings."""
    block = result["overall"]
    unit = unit_of_block(block)
    line = f"{block['metric']}: {show(block.get('score'), unit)}"
    if block.get("ci95"):
        line += f" (95 % interval {' to '.join(show(end, unit) for end in block['ci95'])})"
    parts = [f"{line}, n = {block['n']}"]
    own = result["by_type"][result["diagnostic"]]
    for name, table in own["tables"].items():
        if text := _table(table):
            parts.append(f"{name}\n{text}")
    parts += [f"not computed: {name}: {reason}" for name, reason in own["unavailable"].items()]
    parts += [f"warning: {text}" for text in result["warnings"]]
    return "\n\n".join(parts)


def _table(table: Any) -> str:
    """Return rows as aligned text; empty for curves, which are drawn in the report."""
    if isinstance(table, list):
        named = [("", row) for row in table if isinstance(row, Mapping)]
    elif isinstance(table, Mapping) and "kind" not in table:
        is_nested = all(isinstance(row, Mapping) for row in table.values())
        named = list(table.items()) if is_nested else [(name, {"": value}) for name, value in table.items()]
    else:
        return ""
    if not named:
        return ""
    columns = list(dict.fromkeys(key for _, row in named for key in row))
    rows = [["", *columns]]
    rows += [[name, *(_cell(row.get(key, "")) for key in columns)] for name, row in named[:MAX_ROWS]]
    if len(named) > MAX_ROWS:
        rows.append([f"{len(named) - MAX_ROWS} more in result.json", *[""] * len(columns)])
    return _aligned(rows)


def _cell(value: Any) -> str:
    text = show_plain(value) if not isinstance(value, Mapping | list) else "..."
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 3] + "..."


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
