"""Answers that mean the same: LRS-VQA's synonyms of WordNet."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from geoprose.core.errors import AssetError
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.labels.normalise_published import lower_strip
from geoprose.evaluation.metrics.text.wordnet import packaged_wordnet
from geoprose.evaluation.metrics.unavailable import no_score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Senses = Callable[[str], frozenset[tuple[str, int]]]


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
        self._senses = senses

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own, or say what is missing."""
        try:
            senses = self._senses or packaged_wordnet().senses
        except AssetError as error:
            return no_score(items, str(error)) if items else Judged(())
        remembered = lru_cache(maxsize=8192)(senses)
        return Judged(tuple(_judge(item, remembered) for item in items))


def _judge(item: Item, senses: Senses) -> Judgement:
    answer = lower_strip(item.prediction)
    references = [lower_strip(reference) for reference in item.references]
    is_equal = bool(answer) and answer in references
    is_right = is_equal or (bool(answer) and any(share_a_sense(answer, known, senses) for known in references))
    truth = references[0] if references else ""
    extras = {"by_synonym": float(is_right and not is_equal)}
    return Judgement(float(is_right), bool(answer), truth if is_right else answer, extras, truth)
