"""Exact match after a stated normalisation."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.labels.normalise_published import find_normaliser, squash

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExactMatch:
    """1 when the normalised answer equals a normalised reference, else 0.

    With a closed set of choices, an answer outside the set counts as unparsable (and wrong). The label of a right
    answer is the canonical reference, so that two accepted spellings are one class of the confusion matrix.

    Args:
        normaliser: Name of the spelling that is compared (``normalise_published.NORMALISERS``).
    """

    name = "accuracy"
    is_accuracy = True
    is_itemwise = True

    def __init__(self, *, normaliser: str = "geoprose") -> None:
        self._normalise = find_normaliser(normaliser)
        self._is_default = normaliser == "geoprose"  # the choices are in this spelling

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own."""
        return Judged(tuple(self._judge(item) for item in items))

    def _judge(self, item: Item) -> Judgement:
        answer = self._normalise(item.prediction)
        is_correct = bool(answer) and answer in {self._normalise(reference) for reference in item.references}
        truth = self._normalise(item.references[0]) if item.references else ""
        if not truth and item.references:
            # A reference that is nothing but an article or a sign, e.g. the option "A", is compared as it is written.
            answer, truth = item.prediction.strip().lower(), item.references[0].strip().lower()
            is_correct = bool(answer) and answer == truth
        is_parsed = bool(answer) and (is_correct or not item.choices or self._is_choice(answer, item.choices))
        return Judgement(float(is_correct), is_parsed, truth if is_correct else answer, truth=truth)

    def _is_choice(self, answer: str, choices: frozenset[str]) -> bool:
        return answer in choices or (not self._is_default and squash(answer) in _squashed(choices))


@lru_cache(maxsize=256)
def _squashed(choices: frozenset[str]) -> frozenset[str]:
    return frozenset(squash(choice) for choice in choices)
