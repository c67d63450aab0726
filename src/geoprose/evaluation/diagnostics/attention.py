"""Do the words of an answer attend to what they are about?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import PositiveInt

from geoprose.evaluation.diagnostics.attention_maths import covered, normalised_entropy, share_on, shifted_shares
from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.conditions import Bench
from geoprose.evaluation.diagnostics.resampling import Resamples, interval
from geoprose.evaluation.diagnostics.series import curve
from geoprose.evaluation.diagnostics.stand_ins import intact_condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue, Sample
    from geoprose.evaluation.diagnostics.attention_read import Grid, Read
    from geoprose.evaluation.diagnostics.base import Request

ENTROPY, REGION = "entropy of attention", "attention on the region"


@dataclass
class _Seen:
    """What was read so far, one entry a sample.

    Attributes:
        images: The picture of each sample.
        entropies: Entropy per layer.
        visual: Share of all attention on visual tokens per layer.
        regions: Share on the region per layer, of samples with a region.
        areas: Share of the area that the region covers.
        chance: Shares of shifted maps per layer, (R, L).
        region_images: The picture of each sample with a region.
    """

    images: list[str] = field(default_factory=list)
    entropies: list[NDArray[np.float64]] = field(default_factory=list)
    visual: list[NDArray[np.float64]] = field(default_factory=list)
    regions: list[NDArray[np.float64]] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    chance: list[NDArray[np.float64]] = field(default_factory=list)
    region_images: list[str] = field(default_factory=list)


class AttentionOnRegions(Diagnostic):
    """Entropy of attention, and its share on the region that is asked about."""

    title: ClassVar[str] = "Attention on regions"
    description: ClassVar[str] = (
        "Attention from the words of the answer to the picture, per layer: its entropy (0 on one visual token, 100 "
        "spread evenly), and the share of it that lies on the reference boxes, beside the share of the area that they "
        "cover and beside what the same maps put there when they are moved at random. Attention is no proof of use; a "
        "share at chance in every layer is a reason to doubt a correct answer."
    )

    max_samples: PositiveInt = 64
    """Samples that are read; attention weights take memory and time."""
    permutations: PositiveInt = 200
    """Random moves of each map."""

    def run(self, request: Request) -> Finding:
        """Answer the questions, then read the attention behind each answer."""
        from geoprose.evaluation.diagnostics.attention_read import why_unreadable

        bench = Bench(request)
        if reason := why_unreadable(bench.loaded.system):
            return _nothing(bench, reason)
        if bench.task.answering != "generate" or bench.task.prompt.shots or bench.task.prompt.is_multi_turn:
            return _nothing(bench, "only single questions that are answered by writing are read")
        measured = bench.measure(intact_condition(bench))
        prompts = _prompts(bench)
        samples = [sample for sample in bench.samples if len(sample.images) == 1][: self.max_samples]
        seen, reasons = _Seen(), dict[str, int]()
        rng = np.random.default_rng(self.seed)
        for done, sample in enumerate(samples, start=1):
            reason = self._read(bench, sample, (prompts[sample.id], measured.answers[sample.id]), seen, rng)
            if reason:
                reasons[reason] = reasons.get(reason, 0) + 1
            if request.on_progress is not None:
                request.on_progress("attention", done, len(samples))
        return self._finding(bench, seen, reasons)

    def _read(self, bench: Bench, sample: Sample, texts: tuple[str, str], seen: _Seen, rng: np.random.Generator) -> str:
        """Read one sample; return why something of it could not be read, if so."""
        from geoprose.evaluation.diagnostics.attention_read import grid_of, read_attention
        from geoprose.evaluation.predict import in_float32
        from geoprose.inference.features import open_picture

        picture = open_picture(bench.data_dir / sample.images[0])
        with in_float32(bench.loaded.system):
            read = read_attention(bench.loaded.system, picture, *texts)
        if read is None:
            return "the answer is empty, or the model gives no attention weights"
        seen.images.append(sample.images[0])
        seen.entropies.append(normalised_entropy(read.to_visual_LV))
        seen.visual.append(read.share_L)
        boxes = boxes_of(sample)
        if not boxes:
            return "the sample has no reference box"
        grid = grid_of(bench.loaded.system, picture.size, read.to_visual_LV.shape[1])
        if isinstance(grid, str):
            return grid
        return self._region(sample, (read, grid, boxes), picture.size, seen, rng)

    def _region(
        self,
        sample: Sample,
        found: tuple[Read, Grid, Sequence[Sequence[float]]],
        size_px: tuple[int, int],
        seen: _Seen,
        rng: np.random.Generator,
    ) -> str:
        read, grid, boxes = found
        cover_C = covered(grid.boxes, boxes, size_px)
        if not cover_C.any():
            return "the reference box lies where the system does not look"
        weights_LC = read.to_visual_LV[:, grid.skipped :]
        seen.regions.append(share_on(weights_LC, cover_C))
        seen.areas.append(float(cover_C.mean()))
        seen.chance.append(shifted_shares(weights_LC, cover_C, grid.side, rng, self.permutations))
        seen.region_images.append(sample.images[0])
        return ""

    def _finding(self, bench: Bench, seen: _Seen, reasons: dict[str, int]) -> Finding:
        if not seen.entropies:
            return _nothing(bench, "; ".join(f"{reason} ({n} samples)" for reason, n in reasons.items()) or "no sample")
        entropy_QL, visual_QL = np.stack(seen.entropies), np.stack(seen.visual)
        layers = [float(layer) for layer in range(1, entropy_QL.shape[1] + 1)]
        drawn = {
            "entropy, share of the largest": entropy_QL.mean(0).tolist(),
            "share of all attention on the picture": visual_QL.mean(0).tolist(),
        }
        tables: dict[str, JsonValue] = {"layers": curve(layers, drawn, ("layer", "share"), "attention of the answer")}
        notes: dict[str, JsonValue] = dict(reasons)
        tables |= {"not_read": notes} if notes else {}
        mean_Q = entropy_QL.mean(1)
        ends = interval(Resamples(seen.images, self.seed).means(mean_Q)[0])
        if not seen.regions:
            unavailable = {REGION: "; ".join(reasons) or "no sample has a reference box"}
            finding = Finding(ENTROPY, float(mean_Q.mean()), len(mean_Q), ends, True, tables, unavailable)
        else:
            rows = self._rows(seen)
            shares = {key: [float(str(row[key])) for row in rows.values()] for key in ("share", "area", "chance_high")}
            tables["regions"] = dict(rows)
            tables["region_curve"] = curve(layers, shares, ("layer", "share of the attention on the picture"))
            best_Q = np.stack(seen.regions).mean(1)
            ends = interval(Resamples(seen.region_images, self.seed).means(best_Q)[0])
            finding = Finding(REGION, float(best_Q.mean()), len(best_Q), ends, True, tables)
        return Finding(**{**_fields(finding), "facts": bench.system_facts()})

    def _rows(self, seen: _Seen) -> dict[str, dict[str, JsonValue]]:
        """Return one row a layer: share on the region, area of the region, interval of shifted maps, verdict."""
        region_QL = np.stack(seen.regions)
        chance_RL = np.stack(seen.chance).mean(0)
        draws = Resamples(seen.region_images, self.seed)
        rows: dict[str, dict[str, JsonValue]] = {}
        for layer, share_Q in enumerate(region_QL.T):
            low, high = interval(draws.means(share_Q)[0])
            chance_low, chance_high = interval(chance_RL[:, layer])
            share = float(share_Q.mean())
            above = (1 + int((chance_RL[:, layer] >= share - 1e-12).sum())) / (1 + len(chance_RL))
            rows[f"layer {layer + 1}"] = {
                "n": len(share_Q),
                "share": share,
                "low": low,
                "high": high,
                "area": float(np.mean(seen.areas)),
                "chance_low": chance_low,
                "chance_high": chance_high,
                "p": above,
            }
        return rows


def boxes_of(sample: Sample) -> list[list[float]]:
    """Return the reference boxes of a sample, and the region that it asks about, in pixels."""
    listed = sample.meta.get("boxes")
    found = [*listed] if isinstance(listed, list) else []
    found += [sample.meta["region"]] if isinstance(sample.meta.get("region"), list) else []
    return [[float(str(value)) for value in box] for box in found if isinstance(box, list) and len(box) >= 4]


def _prompts(bench: Bench) -> dict[str, str]:
    """Return the words that each sample was asked in."""
    from geoprose.evaluation.diagnostics.conditions import CONDITIONS_DIR
    from geoprose.evaluation.predictions import predictions_path, read_predictions

    folder = bench.request.out_dir / CONDITIONS_DIR / "intact"
    return {row.id: row.prompt for row in read_predictions(predictions_path(folder, "system"))}


def _nothing(bench: Bench, reason: str) -> Finding:
    return Finding(ENTROPY, None, 0, unavailable={ENTROPY: reason}, facts=bench.system_facts())


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__dataclass_fields__}
