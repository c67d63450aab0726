"""Whether a system is right as often as it says it is: ECE, Brier score and the bins of a reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue

NUM_BINS = 15
"""Bins of Guo et al."""


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability diagram.

    Attributes:
        low: Lower end of the confidences in it.
        high: Upper end.
        n: Answers in it.
        confidence: Mean confidence of them.
        accuracy: Share of them that are right.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float

    def to_json(self) -> JsonValue:
        """Return the bar as a JSON object."""
        return {
            "low": self.low, "high": self.high, "n": self.n, "confidence": self.confidence, "accuracy": self.accuracy
        }  # fmt: skip


def softmax(scores: Mapping[str, float], temperature: float = 1.0) -> dict[str, float]:
    """Return probabilities from log-likelihoods or logits.

    Raises:
        ValueError: If there are no scores, or one of them is not finite.
    """
    values = np.array(list(scores.values()), dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"{dict(scores)} are not finite scores, so they are no probabilities. Drop or mend them.")
    weights = np.exp((values - values.max()) / temperature)
    return dict(zip(scores, (weights / weights.sum()).tolist(), strict=True))


def reliability_bins(
    confidences: Sequence[float], correct: Sequence[bool], num_bins: int = NUM_BINS, *, equal_mass: bool = False
) -> list[Bin]:
    """Return the bins that hold an answer.

    Args:
        confidences: Confidence of each answer, from 0 to 1.
        correct: Whether each is right.
        num_bins: Number of bins.
        equal_mass: Bins of equally many answers instead of equal width.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599, section 2: bin m holds confidences in
        ``((m - 1) / M, m / M]``. Equal mass: Nixon et al., arXiv:1904.01685.
    """
    confidence_Q = np.asarray(confidences, dtype=np.float64)
    correct_Q = np.asarray(correct, dtype=np.float64)
    if confidence_Q.size == 0:
        return []
    if equal_mass:
        order = np.argsort(confidence_Q, kind="stable")
        bins = [chunk for chunk in np.array_split(order, num_bins) if chunk.size]
        edges = [(float(confidence_Q[chunk].min()), float(confidence_Q[chunk].max())) for chunk in bins]
    else:
        place_Q = np.clip(np.ceil(confidence_Q * num_bins).astype(int) - 1, 0, num_bins - 1)
        used = np.unique(place_Q)
        bins = [np.flatnonzero(place_Q == place) for place in used]
        edges = [(float(place) / num_bins, float(place + 1) / num_bins) for place in used]
    return [
        Bin(low, high, len(chunk), float(confidence_Q[chunk].mean()), float(correct_Q[chunk].mean()))
        for (low, high), chunk in zip(edges, bins, strict=True)
    ]


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean gap of accuracy and confidence over bins, weighted by their answers (Guo et al., equation 3)."""
    total = sum(one.n for one in bins)
    return sum(one.n * abs(one.accuracy - one.confidence) for one in bins) / total if total else 0.0


def brier_score(probabilities: Mapping[str, float], truth: str) -> float:
    """Return the squared error of a whole distribution, summed over its labels: 0 is best, 2 worst.

    A truth that has no probability counts as one of probability 0.

    Source:
        Brier, Verification of forecasts expressed in terms of probability, 1950 (the original, multi-class form).
    """
    squared = sum((value - float(label == truth)) ** 2 for label, value in probabilities.items())
    return squared + float(truth not in probabilities)


def calibration_figures(
    confidences: NDArray[np.float64], correct: Sequence[bool]
) -> tuple[dict[str, float], list[Bin]]:
    """Return ECE with 15 bins of equal width and of equal mass, mean confidence, and the bins of equal width."""
    values = confidences.tolist()
    bins = reliability_bins(values, correct)
    figures = {
        "ece": expected_calibration_error(bins),
        "ece_equal_mass": expected_calibration_error(reliability_bins(values, correct, equal_mass=True)),
        "mean_confidence": float(confidences.mean()) if confidences.size else 0.0,
    }
    return figures, bins
