"""Captions of regions: ROUGE-L F1 as the score, ROUGE-1 and METEOR beside it, as GeoChat reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import ResourceError
from geoprose.data.sentences.tokens import WORDS, WordSplit
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.text.meteor import meteor
from geoprose.evaluation.metrics.text.text_scores import MeteorKind, RougeScore, meteor_synonyms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import JsonValue


class RegionCaptionMetrics:
    """ROUGE-L F1 (best reference) as the score; ROUGE-1 F1, METEOR and the share of exact copies beside it.

    Args:
        is_stemmed: Whether ROUGE compares stems.
        meteor_words: How METEOR's words are split; ``split`` leaves a full stop on the last word.
        meteor_kind: ``wordnet`` or ``exact_stem``.
    """

    name = "ROUGE-L F1"
    is_accuracy = True
    is_itemwise = True

    def __init__(
        self, *, is_stemmed: bool = True, meteor_words: WordSplit = "ptb", meteor_kind: MeteorKind = "wordnet"
    ) -> None:
        self._rouge_l = RougeScore(kind="L", is_stemmed=is_stemmed)
        self._rouge_1 = RougeScore(kind="1", is_stemmed=is_stemmed)
        self._is_stemmed = is_stemmed
        self._meteor_words: WordSplit = meteor_words
        self._meteor_kind: MeteorKind = meteor_kind

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own; METEOR is unavailable, with the reason, where WordNet is not there."""
        judgements = [self._judge(item) for item in items]
        library: dict[str, JsonValue] = {
            "rouge": f"rouge-score's definition {'with' if self._is_stemmed else 'without'} stems, by geoprose"
        }
        unavailable = {}
        try:
            synonyms, library["meteor"] = meteor_synonyms(self._meteor_kind)
        except ResourceError as error:
            unavailable["meteor"] = str(error)
        else:
            split = WORDS[self._meteor_words]
            for item, judgement in zip(items, judgements, strict=True):
                value = meteor(split(item.prediction), [split(text) for text in item.references], synonyms)
                judgement.extras["meteor"] = value  # type: ignore[index]  # our own dict
        return Judged(tuple(judgements), tables={"library": library}, unavailable=unavailable)

    def _judge(self, item: Item) -> Judgement:
        text = " ".join(item.prediction.split())
        extras = {
            "rouge_1": self._rouge_1.value(item.prediction, item.references),
            "exact_copy": float(text in item.references),
        }
        score = self._rouge_l.value(item.prediction, item.references)
        return Judgement(score, bool(WORDS["ptb"](item.prediction)), text, extras)
