"""Text that is read in a picture: contained, equal, or nearly equal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.grouped import group_means, macro_mean, means_table

if TYPE_CHECKING:
    from collections.abc import Sequence

ANLS_THRESHOLD = 0.5
FORMULA = "Handwritten Mathematical Expression Recognition"
"""Category of OCRBench whose answers are compared without spaces and with their case."""


def edit_distance(first: str, second: str) -> int:
    """Return the Levenshtein distance: insertions, deletions and substitutions of characters."""
    if len(first) < len(second):
        first, second = second, first
    previous = list(range(len(second) + 1))
    for row, character in enumerate(first, start=1):
        current = [row]
        for column, other in enumerate(second, start=1):
            cost = previous[column - 1] + (character != other)
            current.append(min(previous[column] + 1, current[-1] + 1, cost))
        previous = current
    return previous[-1]


def anls(answer: str, references: Sequence[str], threshold: float = ANLS_THRESHOLD) -> float:
    """Return the average normalised Levenshtein similarity of one answer: the best reference, 0 below the threshold.

    Source:
        Biten et al., Scene Text Visual Question Answering, arXiv:1905.13648, equation 1; case and repeated spaces are
        ignored. Two empty texts score 1.
    """
    best = 0.0
    for reference in references:
        first, second = " ".join(answer.lower().split()), " ".join(reference.lower().split())
        length = max(len(first), len(second))
        best = max(best, 1.0 if length == 0 else 1.0 - edit_distance(first, second) / length)
    return best if best >= threshold else 0.0


class Anls:
    """ANLS, averaged over questions (DocVQA, TextVQA-like tasks)."""

    name = "ANLS"
    is_accuracy = True
    is_itemwise = True

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own."""
        return Judged(tuple(_judge_anls(item) for item in items))


class Containment:
    """The reference is part of the answer, whatever else the answer says.

    Categories stand beside the mean. ``extras["length_ratio"]`` shows an answer that quotes everything.

    Args:
        whole_words: Whether the reference must stand as whole words. False is OCRBench's score, for which "12" is part
            of "2012".

    Source:
        Liu et al., OCRBench, arXiv:2305.07895; lmms-eval ocrbench/utils.py. Formulas are compared without spaces.
    """

    name = "containment"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, whole_words: bool = True) -> None:
        self._whole_words = whole_words

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item, then the categories."""
        judgements = tuple(_judge_containment(item, self._whole_words) for item in items)
        means = group_means(items, judgements, "category")
        if not means:
            return Judged(judgements)
        return Judged(judgements, {"macro_by_category": macro_mean(means)}, {"by_category": means_table(means)})


def _judge_anls(item: Item) -> Judgement:
    score = anls(item.prediction, item.references) if item.prediction.strip() else 0.0
    return Judgement(score, bool(item.prediction.strip()), item.prediction.strip())


def contains(text: str, part: str, whole_words: bool) -> bool:
    """Return whether ``part`` occurs in ``text``, with no letter or digit beside it if ``whole_words``."""
    if not whole_words or not part:
        return bool(part) and part in text
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None


def _judge_containment(item: Item, whole_words: bool) -> Judgement:
    is_formula = item.meta.get("category") == FORMULA
    answer = _spell(item.prediction, is_formula)
    references = [_spell(reference, is_formula) for reference in item.references]
    is_right = any(contains(answer, reference, whole_words and not is_formula) for reference in references)
    longest = max((len(reference) for reference in references), default=0)
    ratio = len(answer) / longest if longest else 0.0
    return Judgement(float(is_right), bool(answer), item.prediction.strip(), {"length_ratio": ratio})


def _spell(text: str, is_formula: bool) -> str:
    flat = text.strip().replace("\n", " ")
    # Source: lmms-eval lowers the prediction before it compares formulas; a capital in the reference can then never
    # match. OCRBench's own script keeps both as they are, which is done here.
    return flat.replace(" ", "") if is_formula else flat.lower()
