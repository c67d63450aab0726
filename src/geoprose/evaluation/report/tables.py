"""Show the larger results of a metric (``tables``): curves, reliability bins, figures per class or group, any JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.report.charts import curve_chart, reliability_chart
from geoprose.evaluation.report.figures import show_plain

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_ROWS = 60
MAX_DEPTH = 3
BAR_COLUMNS = ("score", "recall", "accuracy", "f1", "ap", "iou", "share")
"""Columns that hold shares; the first one present gets a bar."""


@dataclass(frozen=True)
class Shown:
    """One block of a page: a chart, or a table of texts.

    Attributes:
        title: Heading.
        chart: The drawing; None for a table.
        columns: Heads of the table.
        rows: Cells as text.
        bars: Length of each row's bar in percent; empty without bars.
        left_out: Rows that were cut.
    """

    title: str
    chart: Markup | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    bars: tuple[float | None, ...] = field(default=())
    left_out: int = 0


def show_tables(tables: Mapping[str, Any]) -> list[Shown]:
    """Return the blocks of every table of a question type."""
    return [shown for name, value in tables.items() for shown in show_table(name, value)]


def show_table(title: str, value: Any, depth: int = 0) -> list[Shown]:
    """Return the blocks of one JSON value.

    A mapping says what it is by ``kind``: ``curve`` (``x``, ``series``: name to list of y, or name to list of points;
    ``x_label``, ``y_label``) or ``reliability`` (``bins``). Anything else becomes a table; deeper nesting becomes
    several.
    """
    if isinstance(value, Mapping):
        if value.get("kind") == "curve":
            return [_curve(title, value)]
        if "bins" in value and _is_rows(value["bins"]):
            return _reliability(title, value)
        if value and all(isinstance(inner, Mapping) for inner in value.values()):
            return _nested(title, value, depth)
        return _scalars(title, value, depth)
    if _is_rows(value):
        return [_table(title, [("", row) for row in value])]
    if isinstance(value, list):
        return [Shown(title, None, ("",), ((", ".join(show_plain(item) for item in value[:MAX_ROWS]),),))]
    return [Shown(title, None, ("",), ((show_plain(value),),))]


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _curve(title: str, value: Mapping[str, Any]) -> Shown:
    across = value.get("x", [])
    series = {}
    for name, own in value.get("series", {}).items():
        is_points = bool(own) and isinstance(own[0], list)
        pairs = own if is_points else zip(across, own, strict=False)
        series[str(name)] = [(float(x), float(y)) for x, y in pairs if x is not None and y is not None]
    labels = str(value.get("x_label", "x")), str(value.get("y_label", ""))
    return Shown(title, curve_chart(str(value.get("title", title)), series, labels))


def _reliability(title: str, value: Mapping[str, Any]) -> list[Shown]:
    bins = [row for row in value["bins"] if {"low", "high", "n", "confidence", "accuracy"} <= row.keys()]
    beside = {key: inner for key, inner in value.items() if key not in ("bins", "kind")}
    shown = [Shown(title, reliability_chart(title, [_numbers(row) for row in bins]))] if bins else []
    if not bins:
        shown = [_table(title, [("", row) for row in value["bins"]])]
    return [*shown, *(_scalars(f"{title}: figures", beside, 0) if beside else [])]


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in row.items() if isinstance(value, int | float)}


def _nested(title: str, value: Mapping[str, Any], depth: int) -> list[Shown]:
    is_flat = all(not isinstance(cell, Mapping | list) for row in value.values() for cell in row.values())
    if is_flat and not any("kind" in row for row in value.values()):
        return [_table(title, list(value.items()))]
    if depth >= MAX_DEPTH:
        return [Shown(title, None, ("",), ((f"{len(value)} entries, see result.json",),))]
    return [shown for name, inner in value.items() for shown in show_table(f"{title}: {name}", inner, depth + 1)]


def _scalars(title: str, value: Mapping[str, Any], depth: int) -> list[Shown]:
    plain = {key: inner for key, inner in value.items() if not isinstance(inner, Mapping | list)}
    plain |= {key: _joined(inner) for key, inner in value.items() if _is_plain_list(inner)}
    deep = {key: inner for key, inner in value.items() if key not in plain}
    shown = []
    if plain:
        kept = list(plain.items())[:MAX_ROWS]
        rows = tuple((str(key), show_plain(inner)) for key, inner in kept)
        shown.append(Shown(title, None, ("", "value"), rows, (), len(plain) - len(kept)))
    if depth < MAX_DEPTH:
        shown += [one for key, inner in deep.items() for one in show_table(f"{title}: {key}", inner, depth + 1)]
    return shown


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(item, Mapping | list) for item in value)


def _joined(values: Sequence[Any]) -> str:
    more = f" and {len(values) - MAX_ROWS} more" if len(values) > MAX_ROWS else ""
    return ", ".join(show_plain(value) for value in values[:MAX_ROWS]) + more


def _table(title: str, named: Sequence[tuple[str, Mapping[str, Any]]]) -> Shown:
    kept = named[:MAX_ROWS]
    columns = list(dict.fromkeys(str(key) for _, row in kept for key in row))
    has_names = any(name for name, _ in kept)
    rows = tuple(
        ((name,) if has_names else ()) + tuple(show_plain(row[key]) if key in row else "" for key in columns)
        for name, row in kept
    )
    barred = next((key for key in BAR_COLUMNS if key in columns), None)
    bars = tuple(_bar(row.get(barred)) for _, row in kept) if barred else ()
    has_bars = any(bar is not None for bar in bars)
    heads = (("",) if has_names else ()) + tuple(columns)
    return Shown(title, None, heads, rows, bars if has_bars else (), len(named) - len(kept))


def _bar(value: Any) -> float | None:
    """Return the length of a bar; none for a value that is no share."""
    return round(100 * value, 2) if isinstance(value, int | float) and 0 <= value <= 1 else None
