"""Captions of changes between two dates: all pairs, those that changed, and those that did not.

Source:
    Liu et al., RSICC, TGRS 2022; Chen-Yang-Liu/RSICC eval.py: the list of sentences that mean "no change", change_acc
    and nochange_acc, and every metric computed anew on each subset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from geoprose.data.sentences.tokens import WordSplit, tokenise_caption
from geoprose.evaluation.metrics.base import Item, Judged
from geoprose.evaluation.metrics.text.captions import CaptionMetrics

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_CHANGE = (
    "the scene is the same as before",
    "there is no difference",
    "the two scenes seem identical",
    "no change has occurred",
    "almost nothing has changed",
)
"""Sentences that say that nothing changed."""
_NO_CHANGE = frozenset(NO_CHANGE)


class ChangeCaptionMetrics:
    """CIDEr of all pairs as the score; every caption figure on the changed and the unchanged pairs beside it.

    ``change_acc`` is the share of changed pairs whose caption is not one of `NO_CHANGE`, ``nochange_acc`` the share of
    unchanged pairs whose caption is.

    Args:
        truth: What says whether a pair changed: ``meta`` (``is_changed``, and where it is absent whether any reference
            is in the list), or ``second_reference`` alone, as RSICC's script does.
        words: How captions are split into words.
    """

    name = "CIDEr"
    is_accuracy = False
    is_itemwise = False

    def __init__(self, *, truth: Literal["meta", "second_reference"] = "meta", words: WordSplit = "ptb") -> None:
        self._truth = truth
        self._captions = CaptionMetrics(words=words)

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge all items, then each subset anew: CIDEr's document frequencies are those of the subset.

        Raises:
            TaskError: If an item has no reference sentence.
        """
        judged = self._captions.judge(items)
        changed = [self._is_changed(item) for item in items]
        corpus, unavailable = dict(judged.corpus), {}
        for name, wanted in (("change", True), ("nochange", False)):
            subset = [item for item, is_changed in zip(items, changed, strict=True) if is_changed == wanted]
            if not subset:
                unavailable[name] = f"no pair of the set is {'changed' if wanted else 'unchanged'}"
                continue
            corpus.update({f"{name}_{key}": value for key, value in self._subset(subset).items()})
            corpus[f"{name}_acc"] = _mean([float(_says(item.prediction, wanted)) for item in subset])
        return Judged(judged.judgements, corpus, judged.tables, unavailable)

    def _subset(self, items: Sequence[Item]) -> dict[str, float]:
        judged = self._captions.judge(items)
        rouge = [judgement.extras["rouge_l"] for judgement in judged.judgements]
        return {
            "n": float(len(items)),
            "cider": _mean([judgement.score for judgement in judged.judgements]),
            "rouge_l": _mean(rouge),
            **judged.corpus,
        }

    def _is_changed(self, item: Item) -> bool:
        if self._truth == "second_reference":
            return says_change(item.references[1] if len(item.references) > 1 else item.references[0])
        stated = item.meta.get("is_changed")
        if isinstance(stated, bool):
            return stated
        return all(says_change(reference) for reference in item.references)


def says_change(caption: str) -> bool:
    """Tell whether a caption is something else than one of the sentences of `NO_CHANGE`; case and points ignored."""
    return " ".join(tokenise_caption(caption)) not in _NO_CHANGE


def _says(caption: str, wanted: bool) -> bool:
    # Why not says_change alone: an empty caption is in no list, and would count as the right answer to every change.
    return bool(tokenise_caption(caption)) and says_change(caption) == wanted


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
