"""F1 of a list of names against the reference list, order and repeats ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.normalise import split_list

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def set_f1(predicted: Collection[str], reference: Collection[str]) -> float:
    """Return ``2 |P and R| / (|P| + |R|)``; two empty sets agree (1)."""
    predicted_set, reference_set = set(predicted), set(reference)
    if not predicted_set and not reference_set:
        return 1.0
    return 2 * len(predicted_set & reference_set) / (len(predicted_set) + len(reference_set))


class ListF1:
    """Mean F1 over questions; names outside the choices are kept as wrong names."""

    name = "list F1"
    is_accuracy = True
    is_itemwise = True

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own; the best accepted reference counts."""
        return Judged(tuple(_judge(item) for item in items))


def _judge(item: Item) -> Judgement:
    names = split_list(item.prediction)
    references = [split_list(reference) for reference in item.references]
    score = max((set_f1(names, reference) for reference in references), default=0.0) if names else 0.0
    known = item.choices.union(*references)
    is_exact = any(set(names) == set(reference) for reference in references)
    return Judgement(score, any(name in known for name in names), ", ".join(sorted(names)), {"exact": float(is_exact)})
