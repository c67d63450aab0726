"""Exact match after normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.normalise import normalise_answer

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExactMatch:
    """1 when the normalised answer equals a normalised reference, else 0.

    With a closed set of choices, an answer outside the set counts as unparsable (and wrong).
    """

    name = "accuracy"
    is_accuracy = True
    is_itemwise = True

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own."""
        return Judged(tuple(_judge(item) for item in items))


def _judge(item: Item) -> Judgement:
    answer = normalise_answer(item.prediction)
    is_correct = bool(answer) and answer in {normalise_answer(reference) for reference in item.references}
    is_parsed = bool(answer) and (is_correct or not item.choices or answer in item.choices)
    return Judgement(float(is_correct), is_parsed, answer)
