"""One of three outcomes from an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoprose.experiments.reproduce.findings import Outcome
    from geoprose.experiments.reproduce.score_table import Interval


def decided(difference: Interval, least: float = 0.0) -> Outcome:
    """Return whether a difference is above ``least``: "yes" or "no" only if the whole interval lies on one side."""
    if difference.low > least:
        return "yes"
    return "no" if difference.high < least else "undecided"
