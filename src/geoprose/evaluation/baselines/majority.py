"""The most frequent training answer, per question type or per question text: what can be scored without looking."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from geoprose.evaluation.predictions import question_of, references_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Sample


def majority_answers(train: Sequence[Sample], test: Sequence[Sample], is_per_question: bool = False) -> list[str]:
    """Answer each test sample with the most frequent training answer of its type.

    Args:
        train: Samples to count.
        test: Samples to answer.
        is_per_question: Count per question text where the text occurs in training, per type elsewhere.

    Returns:
        One answer per test sample; empty where training has no question of the type. Ties go to the answer that
        comes first in the alphabet.
    """
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    by_text: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for sample in train:
        answer = references_of(sample)[0]
        by_type[sample.task][answer] += 1
        by_text[sample.task, question_of(sample)][answer] += 1
    answers = []
    for sample in test:
        counts = by_text.get((sample.task, question_of(sample))) if is_per_question else None
        answers.append(_most_frequent(counts or by_type.get(sample.task, Counter())))
    return answers


def _most_frequent(counts: Counter[str]) -> str:
    return min(counts, key=lambda answer: (-counts[answer], answer), default="")
