"""Drawings of a reproduction: every arm as a dot on its interval. Inline SVG in the colours of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.evaluation.report.charts import Axis, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from geoprose.experiments.reproduce.base import Arm, MetricColumn
    from geoprose.experiments.reproduce.score_table import Interval, ScoreTable

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 520, 190, 14, 8, 24, 40


def default_charts(arms: Sequence[Arm], columns: Sequence[MetricColumn], table: ScoreTable) -> list[Markup]:
    """Draw every figure of every arm that was measured."""
    return [
        interval_chart(
            f"{column.group}: {column.title}" if column.group else column.title,
            {arm.title: table.estimate(arm.name, column.name) for arm in arms if table.has(column.name, arm.name)},
            column.title,
        )
        for column in columns
        if table.has(column.name)
    ]


def interval_chart(title: str, rows: Mapping[str, Interval], label: str, zero: bool = False) -> Markup:
    """Draw one row for each name: the interval as a bar, the mean as a dot, each seed as a small ring.

    Args:
        title: What is shown, also read out.
        rows: Intervals by name; values are shown times 100.
        label: Name of the axis.
        zero: Whether a line marks 0, for differences.
    """
    if not rows:
        return tag("p", f"{title}: nothing was measured yet.", class_="lead")
    values = [100 * v for one in rows.values() for v in (one.low, one.high, one.mean, *one.by_seed)] + [0.0] * zero
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 1.0
    height = TOP + ROW * len(rows) + BOTTOM
    across = Axis(low - margin, high + margin, LEFT, WIDTH - RIGHT)
    bottom = height - BOTTOM
    parts = _ruler(across, bottom, label)
    if zero:
        parts.append(tag("line", x1=across.at(0), y1=TOP, x2=across.at(0), y2=bottom, class_="diagonal"))
    for number, (name, one) in enumerate(rows.items()):
        parts += _row(name, one, TOP + ROW * (number + 0.5), across)
    words = f"{title}: " + ", ".join(f"{name} {100 * one.mean:.1f}" for name, one in rows.items())
    drawing = tag("svg", tag("title", words), *parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=words)
    return tag("figure", tag("figcaption", title), drawing, class_="chart")


def _ruler(across: Axis, bottom: float, label: str) -> list[Markup]:
    parts = []
    for value in across.ticks():
        place = across.at(value)
        parts.append(tag("line", x1=place, y1=TOP, x2=place, y2=bottom, class_="grid"))
        parts.append(tag("text", f"{value:g}", x=place, y=bottom + 15, class_="tick middle"))
    parts.append(tag("line", x1=across.start, y1=bottom, x2=across.end, y2=bottom, class_="axis"))
    middle = (across.start + across.end) / 2
    return [*parts, tag("text", label, x=middle, y=bottom + 33, class_="label middle")]


def _row(name: str, one: Interval, y: float, across: Axis) -> list[Markup]:
    low, mean, high = (across.at(100 * value) for value in (one.low, one.mean, one.high))
    words = f"{name}: {100 * one.mean:.1f} ({100 * one.low:.1f} to {100 * one.high:.1f})"
    rings = [tag("circle", cx=across.at(100 * value), cy=y, r=2.4, class_="series s1") for value in one.by_seed[:20]]
    return [
        tag("text", name, x=LEFT - 8, y=y + 4, class_="tick end"),
        tag("line", tag("title", words), x1=low, y1=y, x2=high, y2=y, class_="series s0"),
        tag("circle", tag("title", words), cx=mean, cy=y, r=4, class_="dot"),
        *(rings if len(one.by_seed) > 1 else []),
    ]
