"""Questions answered from the figures: yes, no, or not decided. Never more than the interval allows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from geoprose.evaluation.significance import holm, permutation_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from geoprose.experiments.reproduce.base import MetricColumn
    from geoprose.experiments.reproduce.score_table import Interval, ScoreTable

Outcome = Literal["yes", "no", "undecided"]
Direction = Literal["higher", "lower", "undecided"]
ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """An answer to one of the reproduction's questions.

    Attributes:
        question: The question.
        outcome: What the figures say.
        sentence: The answer with its figures, stated plainly.
        figures: What it rests on, as JSON values.
    """

    question: str
    outcome: Outcome
    sentence: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Contrast:
    """One arm against another in one figure.

    Attributes:
        arm: The arm that is asked about.
        reference: What it is compared with.
        metric: The figure.
        difference: ``arm`` minus ``reference``.
        p: Two-sided p-value of the paired permutation test by picture, on the mean over seeds.
        p_holm: The same, corrected for all contrasts that were made with it.
    """

    arm: str
    reference: str
    metric: str
    difference: Interval
    p: float
    p_holm: float

    @property
    def direction(self) -> Direction:
        """Where the difference lies: decided only if interval and corrected test agree."""
        if self.p_holm < ALPHA and self.difference.low > 0:
            return "higher"
        if self.p_holm < ALPHA and self.difference.high < 0:
            return "lower"
        return "undecided"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"direction": self.direction}


def contrasts(table: ScoreTable, wanted: Iterable[tuple[str, str, str]]) -> list[Contrast]:
    """Compare pairs of arms; the p-values are corrected for all of them together.

    Args:
        table: The figures.
        wanted: (arm, reference, metric); those that were not measured are left out.
    """
    kept = [one for one in dict.fromkeys(wanted) if table.has(one[2], one[0], one[1])]
    tests = {
        one: permutation_test(
            list(table.question_scores(one[1], one[2])),
            list(table.question_scores(one[0], one[2])),
            table.clusters(one[2]),
        )
        for one in kept
    }
    corrected = holm({" ".join(one): p for one, p in tests.items()})
    return [
        Contrast(*one, difference=table.difference(*one), p=tests[one], p_holm=corrected[" ".join(one)]) for one in kept
    ]


def points(interval: Interval, column: MetricColumn) -> str:
    """Return a difference as words: "+3.1 points (95 % interval +0.4 to +5.9)"."""
    unit = "points" if column.is_share else "x 100"
    low, high = 100 * interval.low, 100 * interval.high
    return f"{100 * interval.mean:+.1f} {unit} (95 % interval {low:+.1f} to {high:+.1f})"


def listed(words: Iterable[str]) -> str:
    """Return words as "a, b and c"."""
    found = list(words)
    return " and ".join(part for part in (", ".join(found[:-1]), found[-1]) if part) if found else ""
