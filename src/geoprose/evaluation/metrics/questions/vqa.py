"""Free answers to questions that several people answered: the accuracy of VQA v2."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.labels.normalise_published import find_normaliser

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL_VOTES = 3
"""Equal human answers that make an answer fully right."""


def soft_accuracy(answer: str, votes: Sequence[str], *, leave_one_out: bool = True) -> float:
    """Return the VQA accuracy of an answer: ``min(votes for it / 3, 1)``.

    Args:
        answer: Normalised answer.
        votes: Normalised answers of people, with repeats (10 in VQA v2).
        leave_one_out: Average over all subsets that leave one person out, as the official script does: 3 of 10 equal
            votes then give 0.9 and not 1.

    Source:
        Antol et al., VQA, arXiv:1505.00468, section 4; vqaEval.py of GT-Vision-Lab/VQA.
    """
    count, others = votes.count(answer), len(votes) - votes.count(answer)
    if not leave_one_out or len(votes) < 2:
        return min(count / FULL_VOTES, 1.0)
    return (count * min((count - 1) / FULL_VOTES, 1.0) + others * min(count / FULL_VOTES, 1.0)) / len(votes)


class VqaSoft:
    """VQA accuracy over the votes in ``meta["answers"]``; equality with any of them where a question has fewer than 3.

    Two accepted spellings of one answer are no two people, so they are not counted as votes.

    Args:
        leave_one_out: As the official script does; False for ``min(n / 3, 1)`` over all votes.
    """

    name = "VQA accuracy"
    is_accuracy = True
    is_itemwise = True

    def __init__(self, *, leave_one_out: bool = True) -> None:
        self._leave_one_out = leave_one_out
        self._normalise = find_normaliser("vqa")

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own."""
        return Judged(tuple(self._judge(item) for item in items))

    def _judge(self, item: Item) -> Judgement:
        listed = item.meta.get("answers")
        given = [str(vote) for vote in listed] if isinstance(listed, list) and listed else list(item.references)
        votes = [self._normalise(vote) for vote in given]
        answer = self._normalise(item.prediction)
        is_voted = len(votes) >= FULL_VOTES
        if not is_voted:
            score = float(bool(answer) and answer in votes)
        else:
            score = soft_accuracy(answer, votes, leave_one_out=self._leave_one_out) if answer else 0.0
        truth = Counter(votes).most_common(1)[0][0] if votes else ""
        return Judgement(score, bool(answer), answer, {"voted": float(is_voted)}, truth=truth)
