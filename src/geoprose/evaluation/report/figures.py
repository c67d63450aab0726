"""How a figure is printed: which scale it is on, and with how many digits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RAW = re.compile(
    r"(?<![a-z])(mae|rmse|mse|mape|error|length|rank|chrf|perplexity|brier|ece|kappa|uniformity)(?![a-z])",
    flags=re.IGNORECASE,
)
"""Figures that are no share: multiplying them by 100 would be a wrong number."""

PERCENT, TIMES_100, RAW = "%", "x 100", ""


def unit_of(metric: str, accuracy: object = None) -> str:
    """Return the unit a score is printed in: percent, times 100 as papers print captions' scores, or as it is.

    Args:
        metric: Name of the score.
        accuracy: ``accuracy`` of the block; None where the score is no share.
    """
    if accuracy is not None:
        return PERCENT
    return RAW if _RAW.search(metric.replace("_", " ")) else TIMES_100


def unit_of_block(block: Mapping[str, object]) -> str:
    """Return the unit of the score of a block of ``result.json``, or of one of its variants."""
    is_share = block.get("accuracy") is not None or block.get("is_accuracy") is True
    return unit_of(str(block.get("metric", "")), is_share or None)


def scaled(value: float, unit: str) -> float:
    """Return the value in its unit."""
    return value if unit == RAW else 100 * value


def show(value: float | None, unit: str, has_sign: bool = False) -> str:
    """Return a value as printed: one decimal for percent, three significant digits for raw figures; a dash for none."""
    if value is None:
        return "-"
    number = scaled(value, unit)
    if unit == RAW:
        return f"{number:+.3g}" if has_sign else f"{number:.3g}"
    return f"{number:+.1f}" if has_sign else f"{number:.1f}"


def show_plain(value: object) -> str:
    """Return a value of a table as text: integers whole, other numbers with four significant digits."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
