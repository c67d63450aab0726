"""Answers that were ranked, not written: the likeliest option or the nearest label, and how sure the system was."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.labels.calibration import brier_score, calibration_figures, softmax
from geoprose.evaluation.metrics.labels.normalise_published import squash
from geoprose.evaluation.metrics.questions.choice import options_of, right_letters
from geoprose.evaluation.metrics.questions.choice_rules import LETTERS
from geoprose.evaluation.metrics.unavailable import no_score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import JsonValue

NO_SCORES = "needs the score of each option or label (scores): answer by likelihood or by similarity"


class Ranked:
    """1 when the option or label with the highest score is right; top-5 and calibration beside it.

    Options are compared with the references as class names are: case, spaces and signs aside. A letter stands for the
    option of ``meta["options"]`` at its place. An item whose scores are missing or not finite is unparsed. A tie of the
    highest scores is wrong unless all of them are right, since an order of the options would decide it.

    Args:
        temperature: Divides the scores before the softmax of the calibration figures; 1 for log-likelihoods.
    """

    name = "accuracy"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, temperature: float = 1.0) -> None:
        self._temperature = temperature

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item, then the calibration of the whole set."""
        if not any(item.scores for item in items):
            return no_score(items, NO_SCORES) if items else Judged(())
        judgements = [_judge(item) for item in items]
        usable = [place for place, judgement in enumerate(judgements) if judgement.is_parsed]
        if not usable:
            return Judged(tuple(judgements), unavailable={"ece": "no item has finite scores"})
        spread = [softmax(_named(items[place]), self._temperature) for place in usable]
        truths = [judgements[place].truth for place in usable]
        confidences = np.array([max(probabilities.values()) for probabilities in spread])
        figures, bins = calibration_figures(confidences, [judgements[place].score == 1 for place in usable])
        briers = [brier_score(probabilities, truth) for probabilities, truth in zip(spread, truths, strict=True)]
        corpus = {**figures, "brier": sum(briers) / len(briers), "with_scores": len(usable) / len(items)}
        table: JsonValue = {"kind": "reliability", "bins": [one.to_json() for one in bins]}
        return Judged(tuple(judgements), corpus, {"reliability": table})


def _judge(item: Item) -> Judgement:
    truth = _truth(item)
    if not item.scores or not all(math.isfinite(score) for score in item.scores.values()):
        return Judgement(0.0, False, "", {"top5": 0.0}, truth)
    scores = _named(item)
    accepted = {truth, *(_name(item, reference) for reference in item.references)} - {""}
    best = max(scores.values())
    first = [name for name, score in scores.items() if score == best]
    is_right = all(name in accepted for name in first)
    better = sum(
        score > max((scores[n] for n in accepted if n in scores), default=math.inf) for score in scores.values()
    )
    top5 = float(bool(accepted & set(scores)) and better < 5)
    return Judgement(float(is_right), True, truth if is_right else first[0], {"top5": top5}, truth)


def _named(item: Item) -> dict[str, float]:
    """Return the scores by comparable names; of two options that are one after spelling, the better score."""
    named: dict[str, float] = {}
    for option, score in item.scores.items():
        name = _name(item, option)
        named[name] = max(score, named.get(name, -math.inf))
    return named


def _truth(item: Item) -> str:
    options = options_of(item)
    letters = right_letters(item) if options else ""
    if len(letters) == 1 and LETTERS.index(letters) < len(options):
        return options[LETTERS.index(letters)]
    return _name(item, item.references[0]) if item.references else ""


def _name(item: Item, text: str) -> str:
    """Return what a scored text is compared by: its option as the meta spells it, else the label without signs."""
    options = options_of(item)
    if not options:
        # Signs matter in a number: "1.5" and "15" are two labels.
        return text.strip() if any(c.isdigit() for c in text) else squash(text) or text.strip()
    letter = text.strip(" ().:").upper()
    if text not in options and len(letter) == 1 and letter in LETTERS[: len(options)]:
        return options[LETTERS.index(letter)]
    equal = [option for option in options if option == text] or [o for o in options if squash(o) == squash(text)]
    return equal[0] if len(set(equal)) == 1 else text.strip()
