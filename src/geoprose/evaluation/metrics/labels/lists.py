"""Lists of names: order and repeats ignored, scored per question or per class."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from geoprose.answers.normalise import normalise_answer, split_list
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.labels.classification import ClassScores

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from geoprose.core.types import JsonValue

Reading = Literal["list", "substring"]


def set_f1(predicted: Collection[str], reference: Collection[str]) -> float:
    """Return ``2 |P and R| / (|P| + |R|)``; two empty sets agree (1)."""
    predicted_set, reference_set = set(predicted), set(reference)
    if not predicted_set and not reference_set:
        return 1.0
    return 2 * len(predicted_set & reference_set) / (len(predicted_set) + len(reference_set))


class ListF1:
    """Mean F1 over questions; names outside the choices are kept as wrong names."""

    name = "list F1"
    is_accuracy = True
    is_itemwise = True

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own; the best accepted reference counts."""
        return Judged(tuple(_judge(item) for item in items))


def _judge(item: Item) -> Judgement:
    names = split_list(item.prediction)
    references = [split_list(reference) for reference in item.references]
    score = max((set_f1(names, reference) for reference in references), default=0.0) if names else 0.0
    known = item.choices.union(*references)
    is_exact = any(set(names) == set(reference) for reference in references)
    return Judgement(score, any(name in known for name in names), ", ".join(sorted(names)), {"exact": float(is_exact)})


class MultiLabel:
    """F1 per picture over several labels; per-class precision, recall and F1 of the whole set beside it.

    Args:
        reading: ``"list"`` takes the answer as a list of names; ``"substring"`` takes every class whose name is inside
            the answer, as VHM's kit does ("water" in "no water", "road" in "railroad").

    Source:
        VHM RSEvalKit, eval_results_ml: the mean over classes of precision, a class that was never named counting 0
        (``average_class_precision``); nothing in it punishes a missed label.
    """

    name = "label F1"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, reading: Reading = "list") -> None:
        self._is_substring = reading == "substring"

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item, then each class of the references."""
        truths = [set(split_list(item.references[0])) if item.references else set() for item in items]
        classes = sorted(set().union(*truths)) if truths else []
        answers = [self._read(item.prediction, classes) for item in items]
        judgements = tuple(
            _judge_labels(item, answer, truth) for item, answer, truth in zip(items, answers, truths, strict=True)
        )
        scores = _class_scores(answers, truths, classes)
        if not scores:
            return Judged(judgements)
        corpus = {
            "macro_f1": sum(score.f1 for score in scores.values()) / len(scores),
            "average_class_precision": sum(score.precision for score in scores.values()) / len(scores),
            "average_class_recall": sum(score.recall for score in scores.values()) / len(scores),
        }
        table: JsonValue = {
            name: {"n": score.n, "precision": score.precision, "recall": score.recall, "f1": score.f1}
            for name, score in scores.items()
        }
        return Judged(judgements, corpus, {"per_class": table})

    def _read(self, text: str, classes: Sequence[str]) -> set[str]:
        return _inside(text, classes) if self._is_substring else set(split_list(text))


def _judge_labels(item: Item, answer: set[str], truth: set[str]) -> Judgement:
    score = set_f1(answer, truth) if item.prediction.strip() else 0.0
    extras = {"exact": float(bool(answer) and answer == truth)}
    return Judgement(score, bool(answer), ", ".join(sorted(answer)), extras)


def _inside(text: str, classes: Sequence[str]) -> set[str]:
    spelt = normalise_answer(text)
    return {name for name in classes if name in spelt}


def _class_scores(
    answers: Sequence[set[str]], truths: Sequence[set[str]], classes: Sequence[str]
) -> dict[str, ClassScores]:
    named = Counter(name for answer in answers for name in answer)
    present = Counter(name for truth in truths for name in truth)
    right = Counter(name for answer, truth in zip(answers, truths, strict=True) for name in answer & truth)
    return {name: ClassScores(present[name], named[name], right[name]) for name in classes}
