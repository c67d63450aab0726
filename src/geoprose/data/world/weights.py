"""How often training draws each question, so that no type and no answer crowds out the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.data.world.balance import Candidate

TYPE_WEIGHTS: dict[str, float] = {
    "presence": 0.8,
    "dominant": 0.8,
    "comparison": 1.0,
    "location": 2.0,
    "amount": 2.0,
    "list": 0.8,
    "box": 2.5,
    "caption": 0.8,
    "two_tile": 1.0,
}
"""Types that are hard to learn (place, amount, box) are drawn more often."""
FREE_TYPES = ("list", "caption")
"""Types whose answers are not one of a few words; they are weighted as a whole."""
SCALE = 300.0
PRIOR = 20
"""Added to the count of an answer, so that the rarest answers are not repeated until they are learnt by heart."""


def with_weights(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Give each question its weight for drawing without replacement among the questions of its picture.

    A closed question weighs in inverse proportion to the number of training questions of the same type, wording and
    answer: each answer of a wording is drawn equally often. Types with many wordings count less per wording.
    """
    per_answer = Counter(_counted(item) for item in candidates)
    per_type = Counter(item.task for item in candidates)
    num_answers = Counter(task for task, _, _ in per_answer)
    return [replace(item, weight=_weight(item, per_answer, per_type, num_answers)) for item in candidates]


def _counted(item: Candidate) -> tuple[str, str, str]:
    """Return type, wording and answer; of a box the side only, since its digits hardly repeat."""
    return item.task, item.question, item.answer.split()[0] if item.task == "box" else item.answer


def _weight(
    item: Candidate, per_answer: Counter[tuple[str, str, str]], per_type: Counter[str], num_answers: Counter[str]
) -> float:
    base = TYPE_WEIGHTS[item.task] * SCALE
    if item.task in FREE_TYPES:
        return base * 3 / per_type[item.task]
    share = 0.5 if item.task == "comparison" else 8 / max(8, num_answers[item.task])
    return base * share / (per_answer[_counted(item)] + PRIOR)
