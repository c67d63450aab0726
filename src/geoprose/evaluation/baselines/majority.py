"""The most frequent training answer, per question type or per question text: what can be scored without looking."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from geoprose.answers.codecs import format_boxes
from geoprose.core.types import Box
from geoprose.evaluation.predictions import question_of, references_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Sample


def majority_answers(
    train: Sequence[Sample], test: Sequence[Sample], is_per_question: bool = False, box_codec: str = "geoprose"
) -> list[str]:
    """Answer each test sample with the most frequent training answer of its type.

    No box occurs twice, so a question with ``meta.boxes`` gets the median of the training boxes of its type, as shares
    of the picture.

    Args:
        train: Samples to count.
        test: Samples to answer.
        is_per_question: Count per question text where the text occurs in training, per type elsewhere.
        box_codec: Format of the boxes.

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
    boxes = _median_boxes(train)
    answers = []
    for sample in test:
        size = _size_of(sample)
        if size is not None and sample.task in boxes and isinstance(sample.meta.get("boxes"), list):
            x1, y1, x2, y2 = (share * side for share, side in zip(boxes[sample.task], size * 2, strict=True))
            answers.append(format_boxes([Box(x1, y1, x2, y2)], box_codec, size))
            continue
        counts = by_text.get((sample.task, question_of(sample))) if is_per_question else None
        answers.append(_most_frequent(counts or by_type.get(sample.task, Counter())))
    return answers


def _most_frequent(counts: Counter[str]) -> str:
    return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def _median_boxes(train: Sequence[Sample]) -> dict[str, tuple[float, ...]]:
    """Return the median of the boxes around the first reference of each sample, per type, as shares of the picture."""
    shares: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for sample in train:
        boxes, size = sample.meta.get("boxes"), _size_of(sample)
        if size is not None and isinstance(boxes, list) and boxes and isinstance(boxes[0], list):
            numbers = [float(str(number)) for number in boxes[0]]
            xs, ys = np.array(numbers[0::2]) / size[0], np.array(numbers[1::2]) / size[1]
            shares[sample.task].append((float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())))
    return {name: tuple(np.median(rows, axis=0).clip(0, 1).tolist()) for name, rows in shares.items()}


def _size_of(sample: Sample) -> tuple[int, int] | None:
    size = sample.meta.get("size_px")
    return (int(str(size[0])), int(str(size[1]))) if isinstance(size, list) else None
