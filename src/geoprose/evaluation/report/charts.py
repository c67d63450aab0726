"""Reliability diagrams and curves as inline SVG: they take the page's colours, so they follow light and dark.

Every text is escaped by ``tag``; nothing else builds markup.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 44
DASHES = ("", "7 4", "2 3", "9 3 2 3")
"""Curves differ by dash as well as by colour, for print and for the colour-blind."""
NUM_COLOURS = 6


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """Return one element; texts and values of attributes are escaped, ``class_`` is ``class``, ``_`` is ``-``."""
    written = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(value))
        for key, value in attributes.items()
        if value is not None and value != ""
    ]
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(escape(name), Markup("").join(written), inner)


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Axis:
    """One axis: a range of values and where it lies on the drawing.

    Attributes:
        low: Value at the start.
        high: Value at the end.
        start: Place of ``low``, drawing units.
        end: Place of ``high``.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return four to nine round values inside the range."""
        rough = (self.high - self.low) / 5
        power = 10 ** math.floor(math.log10(rough))
        step = min((power * factor for factor in (1, 2, 2.5, 5, 10)), key=lambda size: abs(size - rough))
        first = math.ceil(self.low / step - 1e-9)
        return [count * step for count in range(first, math.floor(self.high / step + 1e-9) + 1)]


def axes_for(points: Sequence[tuple[float, float]]) -> tuple[Axis, Axis]:
    """Return the axes that hold every point; scores in 0..1 get the whole unit range upwards."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low_y, high_y = (0.0, 1.0) if min(ys) >= 0 and max(ys) <= 1 else _widened(min(ys), max(ys))
    return Axis(*_widened(min(xs), max(xs), 0), LEFT, WIDTH - RIGHT), Axis(low_y, high_y, HEIGHT - BOTTOM, TOP)


def curve_chart(title: str, series: Mapping[str, Sequence[tuple[float, float]]], labels: tuple[str, str]) -> Markup:
    """Draw one line per series.

    Args:
        title: What is shown, also read out.
        series: Points by name; points that are not finite are left out.
        labels: Names of the two axes.

    Returns:
        A figure with its legend; a sentence when there is no point.
    """
    kept = {name: [point for point in own if all(map(math.isfinite, point))] for name, own in series.items()}
    points = [point for own in kept.values() for point in own]
    if not points:
        return tag("p", f"{title}: no finite value to draw.", class_="lead")
    across, up = axes_for(points)
    drawn = [_line(number, own, across, up) for number, own in enumerate(kept.values())]
    legend = [
        tag("li", _swatch(number), f" {name}") for number, name in enumerate(kept) if len(kept) > 1 or name != title
    ]
    drawing = _drawing(f"{title}: {', '.join(kept)}", [*_frame(across, up, labels), *drawn])
    return tag("figure", tag("figcaption", title), drawing, tag("ul", *legend, class_="legend"), class_="chart")


def reliability_chart(title: str, bins: Sequence[Mapping[str, float]]) -> Markup:
    """Draw accuracy against confidence per bin; the diagonal is perfect calibration.

    Args:
        title: What is shown.
        bins: ``low``, ``high`` (edges), ``n``, ``confidence`` and ``accuracy`` (means) of each bin; empty bins are left
            out.
    """
    across, up = Axis(0, 1, LEFT, WIDTH - RIGHT), Axis(0, 1, HEIGHT - BOTTOM, TOP)
    total = sum(one.get("n", 0) for one in bins) or 1
    parts = [*_frame(across, up, ("confidence", "accuracy"))]
    parts.append(_segment((across.at(0), up.at(0)), (across.at(1), up.at(1)), "diagonal"))
    for one in bins:
        if not one.get("n"):
            continue
        left, right = across.at(one["low"]), across.at(one["high"])
        top = up.at(one["accuracy"])
        words = f"{one['n']:g} answers with confidence {one['confidence']:.2f}: {100 * one['accuracy']:.0f} % right"
        share = 0.25 + 0.75 * one["n"] / total
        shape = {"x": left, "y": top, "width": max(right - left - 1.5, 1), "height": up.at(0) - top}
        parts.append(tag("rect", tag("title", words), class_="bin", fill_opacity=share, **shape))
        parts.append(tag("circle", cx=across.at(one["confidence"]), cy=top, r=3, class_="dot"))
    return tag("figure", tag("figcaption", title), _drawing(f"Reliability diagram: {title}", parts), class_="chart")


def _widened(low: float, high: float, margin: float = 0.05) -> tuple[float, float]:
    if low == high:
        return low - 0.5, high + 0.5
    return low - margin * (high - low), high + margin * (high - low)


def _drawing(words: str, parts: Sequence[Markup]) -> Markup:
    box = f"0 0 {WIDTH} {HEIGHT}"
    return tag("svg", tag("title", words), *parts, viewBox=box, role="img", aria_label=words)


def _frame(across: Axis, up: Axis, labels: tuple[str, str]) -> list[Markup]:
    parts = []
    for value in up.ticks():
        place = up.at(value)
        parts.append(_segment((across.start, place), (across.end, place), "grid"))
        parts.append(tag("text", f"{value:g}", x=across.start - 6, y=place + 4, class_="tick end"))
    for value in across.ticks():
        parts.append(tag("text", f"{value:g}", x=across.at(value), y=up.start + 16, class_="tick middle"))
    parts.append(_segment((across.start, up.start), (across.end, up.start), "axis"))
    parts.append(tag("text", labels[0], x=(across.start + across.end) / 2, y=HEIGHT - 6, class_="label middle"))
    middle = (up.start + up.end) / 2
    turned = f"rotate(-90 14 {middle:g})"
    return [*parts, tag("text", labels[1], x=14, y=middle, transform=turned, class_="label middle")]


def _line(number: int, points: Sequence[tuple[float, float]], across: Axis, up: Axis) -> Markup:
    places = [(across.at(x), up.at(y)) for x, y in sorted(points)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = DASHES[number // NUM_COLOURS % len(DASHES)] or DASHES[number % len(DASHES)]
    colour = f"series s{number % NUM_COLOURS}"
    dots = [tag("circle", cx=x, cy=y, r=2.6, class_=f"{colour} dot") for x, y in places] if len(places) <= 40 else []
    return tag("g", tag("polyline", points=path, class_=colour, stroke_dasharray=dash), *dots)


def _swatch(number: int) -> Markup:
    dash = DASHES[number // NUM_COLOURS % len(DASHES)] or DASHES[number % len(DASHES)]
    line = tag("line", x1=0, y1=5, x2=26, y2=5, class_=f"series s{number % NUM_COLOURS}", stroke_dasharray=dash)
    return tag("svg", line, viewBox="0 0 26 10", class_="swatch", aria_hidden="true")


def _segment(first: tuple[float, float], second: tuple[float, float], kind: str) -> Markup:
    return tag("line", x1=first[0], y1=first[1], x2=second[0], y2=second[1], class_=kind)
