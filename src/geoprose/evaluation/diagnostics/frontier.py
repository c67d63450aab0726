"""What accuracy costs: visual tokens, operations and time over sizes of the picture."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from geoprose.core.errors import GeoproseError
from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.coarsen import averaged, resized
from geoprose.evaluation.diagnostics.conditions import Bench
from geoprose.evaluation.diagnostics.curves import pareto_front
from geoprose.evaluation.diagnostics.derived import Condition
from geoprose.evaluation.diagnostics.place import moved
from geoprose.evaluation.diagnostics.resampling import Resamples
from geoprose.evaluation.diagnostics.series import condition_row, points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue
    from geoprose.evaluation.diagnostics.base import Request
    from geoprose.evaluation.diagnostics.conditions import Measured
    from geoprose.evaluation.diagnostics.place import Size

COSTS = {
    "visual_tokens": "visual tokens of a picture",
    "gflops": "GFLOPs of one forward pass",
    "seconds": "seconds a question",
}


class LongSide:
    """A picture brought to a length of its longer side; the shape stays.

    Args:
        side_px: Longer side, pixels.
    """

    def __init__(self, side_px: int) -> None:
        self._side_px = side_px

    def size(self, size_px: Size) -> Size:
        """Return width and height of the picture at its new size."""
        scale = self._side_px / max(size_px)
        return max(1, round(size_px[0] * scale)), max(1, round(size_px[1] * scale))

    def point(self, x: float, y: float, size_px: Size) -> tuple[float, float]:
        """Return the same place in the picture at its new size."""
        width, height = self.size(size_px)
        return x * width / size_px[0], y * height / size_px[1]


class ComputeFrontier(Diagnostic):
    """Accuracy against compute over picture sizes, for one system or several."""

    title: ClassVar[str] = "Resolution against compute"
    description: ClassVar[str] = (
        "The same questions about the pictures at several sizes. Accuracy stands against what a system spends: visual "
        "tokens, operations of one forward pass, seconds a question as it ran here. Points that no other one beats at "
        "no higher cost are on the front. The headline is the best score of all points."
    )

    sides: tuple[PositiveInt, ...] = Field(default=(112, 224, 336, 448, 672, 896), min_length=1)
    """Lengths of the longer side, pixels."""
    text_tokens: PositiveInt = 64
    """Tokens of the prompt beside the picture, for the operations."""
    systems: dict[str, str] = Field(default_factory=dict)
    """Further systems by name, as folders or presets; the same recipe at other resolutions, for instance."""

    def run(self, request: Request) -> Finding:
        """Ask every system about the pictures at every size."""
        names: dict[str, Any] = {"system": request.system, **self.systems} if request.system else dict(self.systems)
        rows: dict[str, dict[str, JsonValue]] = {}
        unavailable: dict[str, str] = {}
        warnings: list[str] = []
        facts: dict[str, Any] = {}
        metric, is_share = "accuracy", True
        for name, system in names.items():
            own = replace(request, system=system, out_dir=request.out_dir / name)
            bench = Bench(own if len(names) > 1 else request)
            facts = facts or bench.system_facts()
            label = bench.loaded.system.spec.name if name == "system" else name
            measured, costs = self._points(bench, label, unavailable)
            metric, is_share = bench.metric(measured[0])
            scores_KQ = bench.scores(measured)
            draws = Resamples(bench.clusters, self.seed)
            for side, scores_Q, cost in zip(self.sides, scores_KQ, costs, strict=True):
                rows[f"{label} at {side} px"] = {**condition_row(draws, scores_Q, scores_KQ[-1]), **cost}
            if len({str(cost["visual_tokens"]) for cost in costs}) == 1 and len(self.sides) > 1:
                warnings.append(
                    f"{label} spends the same on every size ({costs[0]['visual_tokens']} visual tokens): it resizes "
                    "each picture, so the sizes say what it needs to see and nothing about compute."
                )
            warnings += bench.warnings(measured[-1])
        return self._finding(rows, (metric, is_share), unavailable, warnings, facts)

    def _points(
        self, bench: Bench, label: str, unavailable: dict[str, str]
    ) -> tuple[list[Measured], list[dict[str, JsonValue]]]:
        samples = tuple(sample for sample in bench.samples if "mask" not in sample.meta)
        sizes = sizes_of(bench)
        middle = (int(np.median([w for w, _ in sizes])), int(np.median([h for _, h in sizes])))
        measured, costs = [], []
        for side in self.sides:
            placed = tuple(moved(sample, LongSide(side)) for sample in samples)
            one = bench.measure(Condition(f"side-{side}", placed, f"side {side}", partial(_at_side, side_px=side)))
            measured.append(one)
            cost = costs_of(bench, LongSide(side).size(middle), self.text_tokens, (label, unavailable))
            seconds = float(one.result["seconds"].get("system", 0.0)) / max(len(one.scores), 1)
            costs.append({**cost, "seconds": seconds})
        return measured, costs

    def _finding(
        self,
        rows: dict[str, dict[str, JsonValue]],
        metric: tuple[str, bool],
        unavailable: dict[str, str],
        warnings: list[str],
        facts: dict[str, Any],
    ) -> Finding:
        tables: dict[str, JsonValue] = {}
        for cost, words in COSTS.items():
            known = {name: row for name, row in rows.items() if row[cost] is not None}
            if not known:
                continue
            places = [(float(str(row[cost])), float(str(row["score"]))) for row in known.values()]
            front = pareto_front([x for x, _ in places], [y for _, y in places])
            for row, is_front in zip(known.values(), front, strict=True):
                row[f"on_the_front_of_{cost}"] = is_front
            series = {"on the front": [p for p, is_front in zip(places, front, strict=True) if is_front]}
            series["beaten"] = [p for p, is_front in zip(places, front, strict=True) if not is_front]
            tables[cost] = points({name: own for name, own in series.items() if own}, (words, metric[0]), words)
        tables["points"] = dict(rows)
        name, best = max(rows.items(), key=lambda item: float(str(item[1]["score"])))
        return Finding(
            f"best {metric[0]} of all sizes",
            float(str(best["score"])),
            int(str(best["n"])),
            (float(str(best["low"])), float(str(best["high"]))),
            metric[1],
            tables,
            unavailable,
            tuple(dict.fromkeys(warnings)),
            facts | {"best_point": name},
        )


def sizes_of(bench: Bench) -> list[Size]:
    """Return width and height of every picture that is asked about."""
    from geoprose.inference.features import picture_size

    images = dict.fromkeys(image for sample in bench.samples for image in sample.images)
    return [picture_size(bench.data_dir / image) for image in images]


def costs_of(bench: Bench, size_px: Size, text_tokens: int, where: tuple[str, dict[str, str]]) -> dict[str, JsonValue]:
    """Return visual tokens and GFLOPs of a picture of this size; None, and the reason noted, where they have none."""
    from geoprose.systems.build import build_meta_model
    from geoprose.systems.cost import forward_flops, visual_tokens

    label, unavailable = where
    spec = bench.loaded.system.spec
    found: dict[str, JsonValue] = {"visual_tokens": None, "gflops": None}
    try:
        found["visual_tokens"] = visual_tokens(spec, bench.loaded.system.model, *size_px)
        flops = forward_flops(spec, build_meta_model(spec), size_px, text_tokens)
        found["gflops"] = sum(flops.values()) / 1e9
    except (GeoproseError, AttributeError) as error:
        # Why AttributeError: systems without a language model lack the parts that are counted.
        unavailable[f"costs of {label}"] = str(error)
    return found


def _at_side(pixels_HW3: NDArray[np.uint8], _: np.random.Generator, side_px: int) -> NDArray[np.uint8]:
    """Return the picture at a length of its longer side: area means on the way down, bicubic on the way up."""
    height, width = pixels_HW3.shape[:2]
    new_width, new_height = LongSide(side_px).size((width, height))
    if new_width >= width:
        return resized(pixels_HW3, (new_width, new_height)) if new_width > width else pixels_HW3
    return averaged(pixels_HW3, (new_width, new_height))
