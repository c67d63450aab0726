"""Questions whose premise is false: "What colour is the plane?" where there is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from geoprose.answers.normalise import normalise_answer
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.grouped import group_means, means_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import JsonValue

REFUSED, ANSWERED = "refused", "answered"
SPLITS = ("negatives", "size_group", "category")
_THING = r"(?:\w+[\s-]){0,4}?"
_REFUSALS = (
    r"\b(?:there (?:is|are|was|were)|i (?:can )?(?:see|find|detect)|it (?:has|contains|shows)) no\b",
    r"\bthere (?:is|are|was|were)(?: not|n't)\b",
    r"\bno (?:such|visible)\b",
    rf"\b(?:does|do|did|is|are|was|were|can|could)(?: not|n't|not) {_THING}(?:exist|present|visible|shown|seen|appear|"
    r"found|contain|show|depicted|there|in (?:the|this) (?:image|picture|scene))\b",
    r"\b(?:not|n't|cannot|unable to|impossible to) (?:be )?(?:determined?|tell|say|answer|identif(?:y|ied)|see|find|"
    r"know|possible)\b",
    r"\b(?:i do not|i don't) know\b",
    r"^\W*(?:none|nothing|no object|absent|not applicable|n/a|unanswerable|not (?:present|visible|there|found))\b",
)
_REFUSAL = re.compile("|".join(f"(?:{pattern})" for pattern in _REFUSALS), re.IGNORECASE)


def is_refusal(text: str) -> bool:
    """Return whether an answer rejects the premise: it says that the object is not there or that one cannot tell.

    The rule of this name is a list of phrases (``_REFUSALS``): "there is no ...", "... is not visible", "cannot be
    determined", "none". An answer that names a colour or a place and none of the phrases accepts the premise. A bare
    "no" is no refusal: it answers a yes/no question.

    Source:
        Our own rule. VHM (arXiv:2403.20213) asks such questions about colour and position with random, popular and
        adversarial objects; its published kit runs the open ones without scoring them.
    """
    return _REFUSAL.search(text) is not None


class FalsePremise:
    """1 when a false premise is rejected and a true one is not.

    The reference says which it is: a reference that rejects the premise marks a false one. ``refusal_recall`` is the
    share of false premises that were rejected, ``false_refusals`` the share of true ones that were rejected as well (a
    system that always refuses has both at 1), ``exact`` the share of true ones whose answer is also right.
    """

    name = "premise accuracy"
    is_accuracy = True
    is_itemwise = False

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item, then false and true premises apart."""
        judgements = tuple(_judge(item) for item in items)
        false = [judgement for judgement in judgements if judgement.truth == REFUSED]
        true = [judgement for judgement in judgements if judgement.truth == ANSWERED]
        corpus = {"num_false_premises": float(len(false)), "num_true_premises": float(len(true))}
        if false:
            corpus["refusal_recall"] = sum(judgement.score for judgement in false) / len(false)
        if true:
            corpus["false_refusals"] = 1 - sum(judgement.label == ANSWERED for judgement in true) / len(true)
            corpus["exact"] = sum(judgement.extras["is_exact"] for judgement in true) / len(true)
        tables: dict[str, JsonValue] = {
            f"by_{key}": means_table(means) for key in SPLITS if (means := group_means(items, judgements, key))
        }
        return Judged(judgements, corpus, tables)


def _judge(item: Item) -> Judgement:
    answer = item.prediction.strip()
    truth = REFUSED if item.references and is_refusal(item.references[0]) else ANSWERED
    label = "" if not answer else REFUSED if is_refusal(answer) else ANSWERED
    normalised = normalise_answer(answer)
    is_exact = bool(normalised) and normalised in {normalise_answer(reference) for reference in item.references}
    return Judgement(float(label == truth), bool(answer), label, {"is_exact": float(is_exact)}, truth)
