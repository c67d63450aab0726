"""How much of the score is left when pictures are damaged or turned."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator, Field

from geoprose.core.registry import unknown_name_message
from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.conditions import Bench, Measured
from geoprose.evaluation.diagnostics.damage import DAMAGES, damaged
from geoprose.evaluation.diagnostics.derived import Condition
from geoprose.evaluation.diagnostics.place import CannotMoveError
from geoprose.evaluation.diagnostics.resampling import Resamples, interval, mean_of, plain
from geoprose.evaluation.diagnostics.series import condition_row, curve
from geoprose.evaluation.diagnostics.stand_ins import intact_condition
from geoprose.evaluation.diagnostics.turns import TURNS, Turn, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue, Sample
    from geoprose.evaluation.diagnostics.base import Request

logger = logging.getLogger(__name__)
EXAMPLES_SHOWN = 3


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in DAMAGES and name not in TURNS:
            raise ValueError(unknown_name_message("corruption", name, [*DAMAGES, *TURNS]))
    return names


class CorruptionRobustness(Diagnostic):
    """Scores on damaged and turned pictures."""

    title: ClassVar[str] = "Robustness to damaged and turned pictures"
    description: ClassVar[str] = (
        "The same questions about pictures with JPEG artefacts, noise, speckle, blur, haze and clouds, in five steps, "
        "and about turned and mirrored pictures with their words for directions and their boxes turned too. Retention "
        "is the score over that on the unchanged pictures; the headline is its mean over damages and steps, turns "
        "apart."
    )

    names: Annotated[tuple[str, ...], AfterValidator(_known)] = (*DAMAGES, *TURNS)
    """Damages and turns to try."""
    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(default=(1, 2, 3, 4, 5), min_length=1)
    """Steps of each damage."""

    def run(self, request: Request) -> Finding:
        """Ask about unchanged pictures, then about every damage at every step and every turn."""
        bench = Bench(request)
        intact = bench.measure(intact_condition(bench))
        damages = [name for name in self.names if name in DAMAGES]
        measured = {
            (name, step): bench.measure(self._damage(bench, name, step)) for name in damages for step in self.severities
        }
        turns: dict[str, Measured] = {}
        left_out: dict[str, dict[str, JsonValue]] = {}
        unavailable: dict[str, str] = {}
        for name in (name for name in self.names if name in TURNS):
            samples, left_out[name] = turned_samples(bench, TURNS[name])
            if samples:
                change = TURNS[name].change
                turns[name] = bench.measure(Condition(name, samples, f"turn {name}", change, change_mask=change))
            else:
                unavailable[name] = "no question could be turned with its picture"
        return self._finding(bench, (intact, measured, turns), left_out, unavailable)

    def _damage(self, bench: Bench, name: str, step: int) -> Condition:
        recipe = f"{name} {DAMAGES[name][1][step - 1]:g} seed {self.seed}"
        return Condition(f"{name}-{step}", bench.samples, recipe, partial(damaged, name=name, severity=step))

    def _finding(
        self,
        bench: Bench,
        answers: tuple[Measured, dict[tuple[str, int], Measured], dict[str, Measured]],
        left_out: dict[str, dict[str, JsonValue]],
        unavailable: dict[str, str],
    ) -> Finding:
        intact, measured, turns = answers
        resamples = Resamples(bench.clusters, self.seed)
        clean_Q = bench.scores([intact])[0]
        metric, is_share = bench.metric(intact)
        scores = {f"{name} {step}": bench.scores([one])[0] for (name, step), one in measured.items()}
        scores |= {name: bench.scores([one])[0] for name, one in turns.items()}
        damages = list(dict.fromkeys(name for name, _ in measured))
        drawn = {name: [mean_of(scores[f"{name} {step}"]) for step in self.severities] for name in damages}
        level = mean_of(clean_Q)
        drawn["unchanged"] = [level] * len(self.severities)
        steps = [float(step) for step in self.severities]
        kept = {
            name: retention([scores[f"{name} {s}"] for s in self.severities], clean_Q, resamples) for name in damages
        }
        kept |= {name: retention([scores[name]], clean_Q, resamples) for name in turns}
        tables: dict[str, JsonValue] = {
            "retention": dict(kept),
            "conditions": {name: condition_row(resamples, one, clean_Q) for name, one in scores.items()},
        }
        if damages:
            tables["curve"] = curve(steps, drawn, ("severity", metric), f"{metric} against severity")
        if left_out:
            tables["questions_that_could_not_be_turned"] = dict(left_out)
        head = retention([scores[f"{name} {s}"] for name in damages for s in self.severities], clean_Q, resamples)
        ends = tuple(float(str(head[key])) for key in ("low", "high") if head[key] is not None)
        if head["retention"] is None:
            why = "no damage was asked for" if not damages else "the score of the unchanged pictures is 0"
            unavailable = {**unavailable, "retention": why}
        return Finding(
            f"mean corruption retention of {metric}",
            None if head["retention"] is None else float(str(head["retention"])),
            len(bench.samples),
            ends if len(ends) == 2 else (),
            is_share,
            tables,
            unavailable,
            bench.warnings(intact),
            bench.system_facts() | {"unchanged": condition_row(resamples, clean_Q, clean_Q)},
        )


def retention(
    scores_KQ: list[NDArray[np.float64]], clean_Q: NDArray[np.float64], resamples: Resamples
) -> dict[str, JsonValue]:
    """Return the mean over conditions of their score over that of the unchanged pictures, on the same questions.

    Source:
        Hendrycks and Dietterich, arXiv:1903.12261, section 4: errors are averaged over severities, then corruptions.
    """
    if not scores_KQ:
        return {"n": 0, "retention": None, "low": None, "high": None}
    same_KQ = [np.where(np.isnan(one), np.nan, clean_Q) for one in scores_KQ]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = [
            mean_of(one) / base if (base := mean_of(own)) > 0 else np.nan
            for one, own in zip(scores_KQ, same_KQ, strict=True)
        ]
        bases_KR = resamples.means(np.stack(same_KQ))
        ratios_KR = np.where(bases_KR > 0, resamples.means(np.stack(scores_KQ)) / bases_KR, np.nan)
    low, high = interval(ratios_KR.mean(0))
    n = int((~np.isnan(np.stack(scores_KQ))).any(0).sum())
    return {"n": n, "retention": plain(float(np.mean(ratios))), "low": plain(low), "high": plain(high)}


def turned_samples(bench: Bench, turn: Turn) -> tuple[tuple[Sample, ...], dict[str, JsonValue]]:
    """Return the samples that can be turned, and how many cannot, with the first reasons."""
    kept: list[Sample] = []
    reasons: Counter[str] = Counter()
    for sample in bench.samples:
        try:
            kept.append(turned(sample, turn, bench.task.box_codec))
        except CannotMoveError as error:
            reasons[str(error)] += 1
    left_out = sum(reasons.values())
    if left_out:
        logger.info("%d questions cannot be turned: %s", left_out, reasons.most_common(EXAMPLES_SHOWN))
    examples = "; ".join(reason for reason, _ in reasons.most_common(EXAMPLES_SHOWN))
    return tuple(kept), {"turned": len(kept), "left_out": left_out, "examples": examples}
