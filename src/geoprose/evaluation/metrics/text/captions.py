"""Captions judged as the COCO caption evaluation does: CIDEr as the score, BLEU-1..4 and ROUGE-L beside it.

Source:
    tylin/coco-caption (pycocoevalcap): PTB tokens, BLEU with the closest reference length, ROUGE-L with beta 1.2,
    CIDEr-D under the name CIDEr.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from geoprose.data.sentences.cider import cider
from geoprose.data.sentences.ngrams import EncodedCaptions, encode_captions
from geoprose.data.sentences.tokens import WORDS, WordSplit
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.text.bleu import ReferenceLength, bleu
from geoprose.evaluation.metrics.text.rouge import rouge_l

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import JsonValue
    from geoprose.data.sentences.ngrams import Tokens

CaptionScore = Literal["cider_d", "cider", "rouge_l"]
_NAMES: dict[CaptionScore, str] = {"cider_d": "CIDEr", "cider": "CIDEr (unclipped)", "rouge_l": "ROUGE-L"}


class CaptionMetrics:
    """One of CIDEr-D, CIDEr and ROUGE-L as the score; the others and BLEU-1..4 beside it.

    Args:
        score: Which one is the score: ``cider_d`` is what pycocoevalcap calls CIDEr.
        words: How captions are split into words.
        reference_length: The reference length of BLEU's brevity penalty.
    """

    is_itemwise = False

    def __init__(
        self,
        *,
        score: CaptionScore = "cider_d",
        words: WordSplit = "ptb",
        reference_length: ReferenceLength = "closest",
    ) -> None:
        self.name = _NAMES[score]
        self.is_accuracy = score == "rouge_l"
        self._score = score
        self._words = words
        self._reference_length = reference_length

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items together: CIDEr needs the document frequencies of the whole set.

        Raises:
            TaskError: If an item has no reference sentence.
        """
        candidates, captions = encode_items(items, self._words)
        values = {"cider_d": cider(captions), "rouge_l": rouge_l(captions)}
        if self._score == "cider":
            values["cider"] = cider(captions, is_clipped=False)
        judgements = tuple(
            Judgement(
                float(values[self._score][place]),
                bool(tokens),
                " ".join(tokens),
                {name: float(value[place]) for name, value in values.items() if name != self._score},
            )
            for place, tokens in enumerate(candidates)
        )
        if not items:
            return Judged(judgements)
        return Judged(judgements, self._corpus(captions), caption_tables(items, captions, self._words))

    def _corpus(self, captions: EncodedCaptions) -> dict[str, float]:
        scores = {f"bleu_{order + 1}": value for order, value in enumerate(bleu(captions, self._reference_length))}
        return {**scores, "mean_words": float(captions.candidate_lengths.mean())}


def encode_items(items: Sequence[Item], words: WordSplit) -> tuple[list[Tokens], EncodedCaptions]:
    """Split and number the captions of items; the candidates' words come back too.

    Raises:
        TaskError: If an item has no reference sentence.
    """
    split = WORDS[words]
    candidates: list[Tokens] = [split(item.prediction) for item in items]
    references = [[split(text) for text in item.references] for item in items]
    return candidates, encode_captions(candidates, references)


def caption_tables(items: Sequence[Item], captions: EncodedCaptions, words: WordSplit) -> dict[str, JsonValue]:
    """Return what a reader of caption scores must know: repeated references, lengths, capitals, the words' source."""
    distinct = Counter(len({" ".join(text.split()) for text in item.references}) for item in items)
    given = Counter(len(item.references) for item in items)
    return {
        "references": {
            "per_item": _histogram(given),
            "distinct_per_item": _histogram(distinct),
            "items_with_repeated_references": sum(len(set(item.references)) < len(item.references) for item in items),
        },
        "words": {
            "split": words,
            "mean_candidate": float(captions.candidate_lengths.mean()),
            "mean_reference": float(captions.reference_lengths.mean()),
            "empty_candidates": int((captions.candidate_lengths == 0).sum()),
        },
        "capitals": {
            "predictions": sum(item.prediction != item.prediction.lower() for item in items),
            "items_with_references": sum(any(text != text.lower() for text in item.references) for item in items),
            "note": "capital and small letters count as the same",
        },
    }


def _histogram(counts: Counter[int]) -> dict[str, JsonValue]:
    return {str(number): counts[number] for number in sorted(counts)}
