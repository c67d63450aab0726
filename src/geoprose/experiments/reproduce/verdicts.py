"""One of three outcomes from an interval or a contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.experiments.reproduce.findings import Direction, Outcome
    from geoprose.experiments.reproduce.score_table import Interval

OUTCOMES: Mapping[Direction, Outcome] = {"higher": "yes", "lower": "no", "undecided": "undecided"}
"""Where a contrast lies, as the answer to "is it higher?"."""


def decided(difference: Interval, least: float = 0.0) -> Outcome:
    """Return whether a difference is above ``least``: "yes" or "no" only if the whole interval lies on one side."""
    if difference.low > least:
        return "yes"
    return "no" if difference.high < least else "undecided"
