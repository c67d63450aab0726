"""Accuracy against ground sampling distance."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator, Field, PositiveFloat

from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.coarsen import Filter, coarsened, coarsened_at_size
from geoprose.evaluation.diagnostics.conditions import Bench, Measured
from geoprose.evaluation.diagnostics.curves import area_under_relative
from geoprose.evaluation.diagnostics.derived import Condition
from geoprose.evaluation.diagnostics.place import Scaling, moved
from geoprose.evaluation.diagnostics.resampling import Resamples, interval, plain
from geoprose.evaluation.diagnostics.series import condition_row, curve
from geoprose.evaluation.diagnostics.stand_ins import blank_condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue, Sample
    from geoprose.evaluation.diagnostics.base import Request

UNTOLD, TOLD, SMALL = "at the same size, GSD not told", "at the same size, GSD told", "left small, GSD not told"
BLIND = "blind level"
_WORDLESS = ("contrastive", "retrieval", "dense")


def _checked(factors: tuple[float, ...]) -> tuple[float, ...]:
    if len(factors) < 2 or factors[0] != 1 or list(factors) != sorted(set(factors)):
        raise ValueError("give at least two factors, ascending, the first 1")
    return factors


class GsdCurve(Diagnostic):
    """Accuracy when each pixel covers more ground."""

    title: ClassVar[str] = "Accuracy against ground sampling distance"
    description: ClassVar[str] = (
        "Pictures are made coarser by area means and brought back to their size, so that the system computes as much "
        "and sees less; in one series they are left small, in one the prompt tells the new GSD. The headline is the "
        "area under relative accuracy over the logarithm of the factor: 100 means that nothing is lost. The blind "
        "level is the same system on pictures of one colour."
    )

    factors: Annotated[tuple[PositiveFloat, ...], AfterValidator(_checked)] = (1, 1.5, 2, 3, 4, 8)
    """How many times larger the pixels become; ascending, the first 1."""
    told: str = "The ground sampling distance of the image is {gsd_m} metres per pixel. {prompt}"
    """Words that tell the GSD; ``{prompt}`` is the task's own prompt."""
    gsd_m: float | None = Field(default=None, gt=0)
    """GSD of the pictures in metres, where the samples' meta does not say it."""
    up: Filter = "bicubic"
    """How a coarse picture is brought back to its size."""
    has_small: bool = True
    """Whether pictures are also left small."""

    def run(self, request: Request) -> Finding:
        """Ask about every factor in every series, and about blank pictures."""
        bench = Bench(request)
        series: dict[str, list[Measured]] = {UNTOLD: self._measure(bench, "same", bench.samples)}
        unavailable, notes = {}, []
        told, reason = self._told_samples(bench)
        if reason:
            unavailable[TOLD] = reason
        else:
            series[TOLD] = self._measure(bench, "told", told, self.told)
        if self.has_small:
            placed = tuple(sample for sample in bench.samples if "mask" not in sample.meta)
            if placed:
                series[SMALL] = [series[UNTOLD][0], *self._measure(bench, "small", placed)]
            if len(placed) < len(bench.samples):
                notes.append(
                    f"{len(bench.samples) - len(placed)} questions with masks are not asked of small pictures."
                )
        blank = bench.measure(blank_condition(bench, self.seed))
        return self._finding(bench, series, blank, (unavailable, notes))

    def _measure(self, bench: Bench, kind: str, samples: tuple[Sample, ...], words: str = "") -> list[Measured]:
        return [bench.measure(self._condition(kind, factor, samples, words)) for factor in self._own_factors(kind)]

    def _own_factors(self, kind: str) -> tuple[float, ...]:
        return self.factors[1:] if kind == "small" else self.factors

    def _condition(self, kind: str, factor: float, samples: tuple[Sample, ...], words: str) -> Condition:
        if kind == "small":
            samples = tuple(moved(sample, Scaling(factor)) for sample in samples)
        change: Callable[..., NDArray[np.uint8]] = partial(_coarse, factor=factor, by=self.up, is_small=kind == "small")
        recipe = f"gsd {kind} {factor:g} {self.up} {words}"
        return Condition(f"gsd-{kind}-{factor:g}", tuple(_with_gsd(s, factor) for s in samples), recipe, change, words)

    def _told_samples(self, bench: Bench) -> tuple[tuple[Sample, ...], str]:
        """Return the samples with their GSD, or why it cannot be told."""
        if bench.task.answering in _WORDLESS:
            return (), f"the system does not read the words of a prompt when it answers by {bench.task.answering}"
        known = {"gsd_m": self.gsd_m} if self.gsd_m else {}
        samples = tuple(replace(sample, meta={**known, **sample.meta}) for sample in bench.samples)
        lacking = sum(not isinstance(sample.meta.get("gsd_m"), int | float) for sample in samples)
        if lacking:
            return (), f"{lacking} of {len(samples)} samples have no meta.gsd_m; give it with --set gsd_m=METRES"
        return samples, ""

    def _finding(
        self, bench: Bench, series: dict[str, list[Measured]], blank: Measured, beside: tuple[dict[str, str], list[str]]
    ) -> Finding:
        resamples = Resamples(bench.clusters, self.seed)
        metric, is_share = bench.metric(series[UNTOLD][0])
        blank_Q = bench.scores([blank])[0]
        floor_R = resamples.means(blank_Q)[0]
        drawn: dict[str, list[float]] = {}
        rows: dict[str, JsonValue] = {}
        areas: dict[str, dict[str, JsonValue]] = {}
        for name, measured in series.items():
            scores_KQ = bench.scores(measured)
            drawn[name] = [float(value) for value in np.nanmean(scores_KQ, axis=1)]
            rows |= {
                f"{name}, x {factor:g}": condition_row(resamples, scores_Q, scores_KQ[0])
                for factor, scores_Q in zip(self.factors, scores_KQ, strict=True)
            }
            areas[name] = _areas(self.factors, scores_KQ, resamples, (blank_Q, floor_R))
        level = float(blank_Q.mean())
        drawn[BLIND] = [level] * len(self.factors)
        rows[BLIND] = condition_row(resamples, blank_Q, bench.scores(series[UNTOLD])[0])
        labels = ("pixel size, times that of the data", metric)
        relative = {n: [v / ys[0] if ys[0] > 0 else float("nan") for v in ys] for n, ys in drawn.items() if n != BLIND}
        tables: dict[str, JsonValue] = {
            "curve": curve(self.factors, drawn, labels, f"{metric} against pixel size"),
            "relative": curve(self.factors, relative, (labels[0], "share of the score at x 1")),
            "areas": dict(areas),
            "conditions": rows,
        }
        head = areas[UNTOLD]
        ends = tuple(float(str(head[key])) for key in ("low", "high") if head[key] is not None)
        unavailable, notes = beside
        if head["area"] is None:
            unavailable = {
                **unavailable,
                "area": "the score of the unchanged pictures is 0, so nothing is relative to it",
            }
        return Finding(
            f"area under relative {metric}",
            None if head["area"] is None else float(str(head["area"])),
            len(bench.samples),
            ends if len(ends) == 2 else (),
            is_share,
            tables,
            unavailable,
            (*bench.warnings(series[UNTOLD][0]), *notes),
            bench.system_facts(),
        )


def _coarse(
    pixels_HW3: NDArray[np.uint8], _: np.random.Generator, factor: float, by: Filter, is_small: bool
) -> NDArray[np.uint8]:
    return coarsened(pixels_HW3, factor) if is_small else coarsened_at_size(pixels_HW3, factor, by)


def _with_gsd(sample: Sample, factor: float) -> Sample:
    gsd = sample.meta.get("gsd_m")
    return replace(sample, meta={**sample.meta, "gsd_m": gsd * factor}) if isinstance(gsd, int | float) else sample


def _areas(
    factors: tuple[float, ...],
    scores_KQ: NDArray[np.float64],
    resamples: Resamples,
    blank: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> dict[str, JsonValue]:
    """Return both areas of a series, with the interval of the first."""
    blank_Q, floor_R = blank
    means_K = np.nanmean(scores_KQ, axis=1)
    area_R = area_under_relative(factors, resamples.means(scores_KQ))
    low, high = interval(area_R)
    above_R = area_under_relative(factors, resamples.means(scores_KQ), floor_R)
    above_low, above_high = interval(above_R)
    return {
        "n": int((~np.isnan(scores_KQ[0])).sum()),
        "area": plain(float(area_under_relative(factors, means_K)[0])),
        "low": plain(low),
        "high": plain(high),
        "area_above_blind": plain(float(area_under_relative(factors, means_K, float(blank_Q.mean()))[0])),
        "above_low": plain(above_low),
        "above_high": plain(above_high),
    }
