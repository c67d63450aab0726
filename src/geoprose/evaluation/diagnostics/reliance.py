"""Does a system look? Its answers when pictures are swapped, blanked, or cut into disorder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveInt

from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.conditions import Bench, Measured
from geoprose.evaluation.diagnostics.resampling import Resamples, interval, mean_of, plain
from geoprose.evaluation.diagnostics.stand_ins import (
    blank_condition,
    intact_condition,
    patches_condition,
    swapped_condition,
)
from geoprose.evaluation.significance import holm, permutation_test

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue
    from geoprose.evaluation.diagnostics.base import Request
    from geoprose.evaluation.diagnostics.derived import Condition

Test = Literal["swapped", "blank", "patches"]
LOOKS, UNHELPFUL, IGNORES = "uses the picture", "answers change, the score does not fall", "ignores the picture"
FEW = "too few questions to tell"
MIN_QUESTIONS = 10


class VisualReliance(Diagnostic):
    """Whether answers depend on the picture."""

    title: ClassVar[str] = "Visual reliance"
    description: ClassVar[str] = (
        "The same questions about another sample's picture, about a picture of the mean colour, and about the "
        "picture's patches in disorder. A system that looks changes its answers and loses score. The headline is the "
        "score lost when pictures are swapped; a verdict is given for each question type."
    )

    tests: tuple[Test, ...] = Field(default=("swapped", "blank", "patches"), min_length=1)
    """What is done to the pictures; the first one gives the headline."""
    grid: PositiveInt = 4
    """Patches along each side."""
    ignored_below: float = Field(default=0.05, ge=0, le=1)
    """A share of changed answers below this means that the picture is ignored."""

    def run(self, request: Request) -> Finding:
        """Ask about the pictures as they are and about each stand-in."""
        bench = Bench(request)
        intact = bench.measure(intact_condition(bench))
        others = {test: bench.measure(self._condition(bench, test)) for test in self.tests}
        resamples = Resamples(bench.clusters, self.seed)
        scores = {test: bench.scores([one])[0] for test, one in others.items()}
        clean_Q = bench.scores([intact])[0]
        changed = {test: changed_answers(bench, intact, one) for test, one in others.items()}
        rows = {test: self._row(bench, resamples, (clean_Q, scores[test], changed[test])) for test in self.tests}
        adjusted = holm({test: float(str(row["p"])) for test, row in rows.items()})
        for test, row in rows.items():
            row["p_holm"] = adjusted[test]
        head = rows[self.tests[0]]
        metric, is_share = bench.metric(intact)
        tables: dict[str, JsonValue] = {
            "tests": {str(test): row for test, row in rows.items()},
            "by_type": self._by_type(bench, resamples, clean_Q, scores, changed),
        }
        return Finding(
            f"{metric} lost when pictures are {'in patches' if self.tests[0] == 'patches' else self.tests[0]}",
            float(str(head["drop"])),
            len(bench.samples),
            (float(str(head["low"])), float(str(head["high"]))),
            is_share,
            tables,
            warnings=bench.warnings(intact),
            facts=bench.system_facts() | {"verdict": head["verdict"], "score_intact": plain(mean_of(clean_Q))},
        )

    def _condition(self, bench: Bench, test: Test) -> Condition:
        if test == "swapped":
            return swapped_condition(bench, self.seed)
        return blank_condition(bench, self.seed) if test == "blank" else patches_condition(bench, self.seed, self.grid)

    def _row(
        self,
        bench: Bench,
        resamples: Resamples,
        values: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    ) -> dict[str, JsonValue]:
        clean_Q, other_Q, changed_Q = values
        drop_Q = clean_Q - other_Q
        low, high = interval(resamples.means(drop_Q)[0])
        share_low, share_high = interval(resamples.means(changed_Q)[0])
        is_in_Q = ~np.isnan(drop_Q)
        clusters = [cluster for cluster, is_in in zip(bench.clusters, is_in_Q, strict=True) if is_in]
        p = permutation_test(clean_Q[is_in_Q].tolist(), other_Q[is_in_Q].tolist(), clusters, self.seed)
        share = mean_of(changed_Q)
        n = int(is_in_Q.sum())
        return {
            "n": n,
            "changed_answers": plain(share),
            "changed_low": plain(share_low),
            "changed_high": plain(share_high),
            "drop": plain(mean_of(drop_Q)),
            "low": plain(low),
            "high": plain(high),
            "p": p,
            "verdict": verdict(n, share, low, self.ignored_below),
        }

    def _by_type(
        self,
        bench: Bench,
        resamples: Resamples,
        clean_Q: NDArray[np.float64],
        scores: dict[Test, NDArray[np.float64]],
        changed: dict[Test, NDArray[np.float64]],
    ) -> dict[str, JsonValue]:
        types = np.array([sample.task for sample in bench.samples])
        rows: dict[str, JsonValue] = {}
        for name in dict.fromkeys(types.tolist()):
            for test in self.tests:
                values = [np.where(types == name, one, np.nan) for one in (clean_Q, scores[test], changed[test])]
                row = self._row(bench, resamples, (values[0], values[1], values[2]))
                rows[f"{name}, {test}"] = row
        return rows


def changed_answers(bench: Bench, first: Measured, second: Measured) -> NDArray[np.float64]:
    """Return 1 per question whose answer differs, case, blanks and end marks apart, else 0."""
    from geoprose.answers.normalise import normalise_answer

    ids = [sample.id for sample in bench.samples]
    return np.array(
        [float(normalise_answer(first.answers[name]) != normalise_answer(second.answers[name])) for name in ids]
    )


def verdict(n: int, changed: float, drop_low: float, ignored_below: float) -> str:
    """Return in words whether the picture counts.

    Args:
        n: Questions.
        changed: Share of answers that change.
        drop_low: Lower end of the interval of the score that is lost.
        ignored_below: Share of changed answers below which the picture is ignored.
    """
    if n < MIN_QUESTIONS:
        return FEW
    if drop_low > 0:
        return LOOKS
    return IGNORES if changed < ignored_below else UNHELPFUL
