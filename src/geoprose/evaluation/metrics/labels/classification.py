"""Figures of a classification from counted pairs of (truth, label): OA, AA, kappa, F1 and the confusion matrix.

Everything is computed from how often each pair occurs, so a file of a million answers costs as much as its table of
pairs. A label that is no class of the truth (another word, nothing at all) is a wrong answer of its truth: it stays in
every denominator and never becomes a class of its own, because each stray word would otherwise lower the macro mean.

Source:
    Congalton, A review of assessing the accuracy of classifications of remotely sensed data, 1991 (OA, AA, kappa);
    Cohen, A coefficient of agreement for nominal scales, 1960. Equal to scikit-learn with ``labels`` set to the classes
    of the truth (tested).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Pairs = Counter[tuple[str, str]]
OTHER = "(other answer)"
"""Column of the confusion matrix for labels that are no class of the truth."""
MAX_MATRIX_LABELS = 200


@dataclass(frozen=True)
class ClassScores:
    """The figures of one class.

    Attributes:
        n: Items whose truth is this class.
        predicted: Items that were given this label.
        correct: Items of this class that were given this label.
    """

    n: int
    predicted: int
    correct: int

    @property
    def precision(self) -> float:
        """Share of the items given this label that have it; 0 when none was."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the items of this class that were given its label."""
        return self.correct / self.n if self.n else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: ``2 correct / (n + predicted)``."""
        total = self.n + self.predicted
        return 2 * self.correct / total if total else 0.0


@dataclass(frozen=True)
class LabelSummary:
    """What a table of (truth, label) pairs says.

    Attributes:
        n: Items.
        labels: Rows and columns of ``counts``: the classes of the truth, sorted, and ``OTHER`` last where answers were
            none of them. Empty when the truth has more than ``MAX_MATRIX_LABELS`` classes.
        counts: Confusion matrix as counts, rows truth and columns label.
        oa: Overall accuracy: share of right answers.
        aa: Average accuracy: mean recall over the classes of the truth, also called balanced accuracy.
        kappa: Cohen's kappa; 0 when truth and labels are one and the same single class.
        macro_f1: Mean F1 over the classes of the truth.
        micro_f1: F1 of all items together, labels outside the classes left out of the predicted ones.
        weighted_f1: Mean F1 weighted by the number of items of each class.
        per_class: Figures of each class of the truth.
    """

    n: int
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    oa: float
    aa: float
    kappa: float
    macro_f1: float
    micro_f1: float
    weighted_f1: float
    per_class: Mapping[str, ClassScores]

    @property
    def balanced_accuracy(self) -> float:
        """The same as ``aa``, under the name that scikit-learn gives it."""
        return self.aa


def summarise_pairs(pairs: Mapping[tuple[str, str], int]) -> LabelSummary:
    """Summarise how often each (truth, label) pair occurs.

    Pairs with an empty truth are left out: they are items without one right label. An empty table gives zeros.
    """
    kept = Counter({pair: count for pair, count in pairs.items() if pair[0] and count > 0})
    truths, labels, right = _margins(kept)
    n = sum(truths.values())
    per_class = {name: ClassScores(truths[name], labels[name], right[name]) for name in sorted(truths)}
    scores = list(per_class.values())
    correct = sum(right.values())
    predicted = sum(score.predicted for score in scores)
    return LabelSummary(
        n,
        *_matrix(kept, list(per_class)),
        oa=correct / n if n else 0.0,
        aa=_mean([score.recall for score in scores]),
        kappa=_kappa(truths, labels, correct),
        macro_f1=_mean([score.f1 for score in scores]),
        micro_f1=2 * correct / (n + predicted) if n else 0.0,
        weighted_f1=sum(score.n * score.f1 for score in scores) / n if n else 0.0,
        per_class=per_class,
    )


def _margins(pairs: Pairs) -> tuple[Counter[str], Counter[str], Counter[str]]:
    truths: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for (truth, label), count in pairs.items():
        truths[truth] += count
        labels[label] += count
        if truth == label:
            right[truth] += count
    return truths, labels, right


def _kappa(truths: Counter[str], labels: Counter[str], correct: int) -> float:
    n = sum(truths.values())
    by_chance = sum(count * labels[name] for name, count in truths.items())
    # Why not 1 for a single class that is always named: agreement that could not fail says nothing.
    return (correct * n - by_chance) / (n * n - by_chance) if n * n > by_chance else 0.0


def _matrix(pairs: Pairs, classes: list[str]) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    if not classes or len(classes) > MAX_MATRIX_LABELS:
        return (), ()
    known = set(classes)
    has_other = any(label not in known for _, label in pairs)
    names = [*classes, OTHER] if has_other else classes
    place = {name: index for index, name in enumerate(names)}
    counts = [[0] * len(names) for _ in names]
    for (truth, label), count in pairs.items():
        counts[place[truth]][place.get(label, len(names) - 1)] += count
    return tuple(names), tuple(tuple(row) for row in counts)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
