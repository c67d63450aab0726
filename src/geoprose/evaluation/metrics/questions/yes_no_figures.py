"""Precision, recall, F1 of "yes" and the share of "yes": the figures of POPE."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def yes_no_figures(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Return accuracy, precision, recall, F1 and yes-ratio from (truth, answer) pairs of "yes", "no" or nothing.

    An answer that is neither is wrong: it is a missed "yes" where yes was right, and it counts in every denominator but
    that of precision. ``yes_ratio`` is the share of questions that were answered with yes.

    Source:
        Li et al., Evaluating Object Hallucination in Large Vision-Language Models (POPE), arXiv:2305.10355, section 5.
    """
    counts = Counter(pairs)
    n = sum(counts.values())
    yes = sum(count for (truth, _), count in counts.items() if truth == "yes")
    said_yes = sum(count for (_, answer), count in counts.items() if answer == "yes")
    right_yes, right_no = counts["yes", "yes"], counts["no", "no"]
    return {
        "n": float(n),
        "accuracy": _share(right_yes + right_no, n),
        "precision": _share(right_yes, said_yes),
        "recall": _share(right_yes, yes),
        "f1": _share(2 * right_yes, yes + said_yes),
        "yes_ratio": _share(said_yes, n),
        "yes_ratio_of_references": _share(yes, n),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
