"""Rows and curves of conditions for ``result.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoprose.evaluation.diagnostics.resampling import Resamples, interval, mean_of, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue


def condition_row(
    resamples: Resamples, scores_Q: NDArray[np.float64], reference_Q: NDArray[np.float64]
) -> dict[str, JsonValue]:
    """Return n, score and interval of a condition, and its paired difference from a reference on the same questions."""
    paired_Q = scores_Q - reference_Q
    ends = interval(resamples.means(scores_Q)[0])
    gaps = interval(resamples.means(paired_Q)[0])
    return {
        "n": int((~np.isnan(scores_Q)).sum()),
        "score": plain(mean_of(scores_Q)),
        "low": plain(ends[0]),
        "high": plain(ends[1]),
        "difference": plain(mean_of(paired_Q)),
        "difference_low": plain(gaps[0]),
        "difference_high": plain(gaps[1]),
    }


def curve(
    axis: Sequence[float], series: Mapping[str, Sequence[float]], labels: tuple[str, str], title: str = ""
) -> dict[str, JsonValue]:
    """Return a table of the report's curve form; values that are not finite become null."""
    drawn: dict[str, JsonValue] = {name: [plain(value) for value in values] for name, values in series.items()}
    across: list[JsonValue] = [float(value) for value in axis]
    made: dict[str, JsonValue] = {"kind": "curve", "x": across, "series": drawn}
    made |= {"x_label": labels[0], "y_label": labels[1]}
    return made | ({"title": title} if title else {})


def points(
    series: Mapping[str, Sequence[tuple[float, float]]], labels: tuple[str, str], title: str = ""
) -> dict[str, JsonValue]:
    """Return a table of the report's curve form with points of its own per series."""
    drawn: dict[str, JsonValue] = {name: [[float(x), float(y)] for x, y in own] for name, own in series.items()}
    made: dict[str, JsonValue] = {"kind": "curve", "series": drawn, "x_label": labels[0], "y_label": labels[1]}
    return made | ({"title": title} if title else {})
