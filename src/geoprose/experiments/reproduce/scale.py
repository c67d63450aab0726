"""Brief 003, third experiment: does an encoder that looks at several scales lose less when the pixel size changes?"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from geoprose.core.files import write_json
from geoprose.core.spec import Spec
from geoprose.evaluation.diagnostics.curves import area_under_relative
from geoprose.evaluation.report.charts import curve_chart
from geoprose.experiments.reproduce.base import Arm, MetricColumn, Reproduction, Trial
from geoprose.experiments.reproduce.captioned import CaptionedPicture, has_land_cover, prepared, read_captioned
from geoprose.experiments.reproduce.findings import Finding, contrasts, listed, points
from geoprose.experiments.reproduce.linear_probe import LinearProbe, choose_probe
from geoprose.experiments.reproduce.pixel_size import label_at, seen_at
from geoprose.experiments.reproduce.scale_encoders import SceneEncoder
from geoprose.experiments.reproduce.score_table import interval
from geoprose.experiments.reproduce.scores import Measured, Scores
from geoprose.experiments.reproduce.verdicts import decided
from geoprose.inference.features import open_picture
from geoprose.training.checkpoints.checkpoint import atomic_folder, read_tensors, write_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from markupsafe import Markup
    from torch import Tensor

    from geoprose.experiments.reproduce.findings import Outcome
    from geoprose.experiments.reproduce.score_table import ScoreTable

SINGLE, LARGE, MULTI = "single", "single-large", "multi"
_PROBE, _FEATURES, _FACTS = "probe.safetensors", "features.safetensors", "facts.json"


_KEPT = MetricColumn("kept", "accuracy kept")


class ScaleSettings(Spec):
    """What ``--set`` may change."""

    factors: tuple[PositiveFloat, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    """Pixel sizes of the test, in multiples of the data's; training sees 1 alone."""
    max_train: PositiveInt = 1200
    """Training pictures."""
    penalties: tuple[NonNegativeFloat, ...] = Field(default=(1e-4, 1e-3, 1e-2, 1e-1), min_length=1)
    """Penalties of the linear layer, chosen on the validation pictures."""


class ScaleExperiment(Reproduction):
    """One pretrained network looks at a picture once, or at two scales (S2); a linear layer names the scene."""

    name: ClassVar[str] = "scale"
    title: ClassVar[str] = "Multi-scale against single-scale over the ground sampling distance"
    question: ClassVar[str] = (
        "Trained at one pixel size and tested at others: does an encoder that looks at several scales lose less than "
        "one that looks once?"
    )
    source: ClassVar[str] = (
        "Brief 003 (arXiv:2411.05826), third experiment: performance degradation curves of a multi-scale and a "
        "single-scale model. The multi-scale encoder here is S2 (arXiv:2403.13043); no released SkySense weights exist."
    )
    settings_type: ClassVar[type[Spec]] = ScaleSettings
    settings: ScaleSettings

    def arms(self) -> tuple[Arm, ...]:
        """Return the single-scale encoder, the same with an enlarged picture, and the multi-scale one."""
        return (
            Arm(SINGLE, "single scale", "Looks once at the picture at the preset's size."),
            Arm(
                LARGE, "single scale, enlarged", "Looks once at the picture enlarged twice: as fine as the multi-scale."
            ),
            Arm(MULTI, "multi-scale (S2)", "Looks at the picture at both sizes; the features stand side by side."),
        )

    def metrics(self) -> tuple[MetricColumn, ...]:
        """Return the accuracy at each pixel size."""
        group = "scene named right, by pixel size"
        return tuple(MetricColumn(metric_of(f), f"x {f:g}", group) for f in sorted(self.settings.factors))

    def prepare(self) -> None:
        """Build the data."""
        prepared(self.work, self.settings.max_train)

    def shared(self) -> Mapping[str, Callable[[], object]]:
        """Encode every picture at every pixel size, with each encoder."""
        return {arm.name: partial(self._features, arm.name) for arm in self.arms()}

    def train(self, trial: Trial) -> None:
        """Fit the linear layer on a bootstrap sample of the training pictures: the seed draws it."""
        folder = self.work.trial_dir(trial)
        if (folder / _PROBE).is_file():
            return
        features = self._features(trial.arm.name)
        pictures, classes = self._pictures(), self._classes()
        train, held = (_labelled(pictures, split, 1.0, classes) for split in ("train", "val"))
        drawn = np.random.default_rng([trial.seed, 3]).integers(0, len(train), len(train))
        train = [train[int(place)] for place in drawn]
        probe, penalty = choose_probe(
            _gathered(features["train"], train), _gathered(features["val"], held), len(classes), self.settings.penalties
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _FACTS, {"penalty": penalty, "classes": classes})
        write_tensors(folder / _PROBE, probe.tensors())

    def measure(self, trial: Trial) -> Scores:
        """Name the scene of every test picture at every pixel size."""
        probe = LinearProbe(**read_tensors(self.work.trial_dir(trial) / _PROBE))
        features, pictures, classes = self._features(trial.arm.name), self._pictures(), self._classes()
        tested = [picture for picture in pictures if picture.split == "test"]
        scores: Scores = {}
        for factor in self.settings.factors:
            asked = _labelled(pictures, "test", factor, classes)
            found = probe.predict(_gathered(features[metric_of(factor)], asked)[0]).tolist()
            ids = tuple(tested[place].id for place, _ in asked)
            right = tuple(float(label == named) for (_, label), named in zip(asked, found, strict=True))
            scores[metric_of(factor)] = Measured(ids, ids, right)
        return scores

    def findings(self, table: ScoreTable) -> list[Finding]:
        """Compare what is kept on coarser pictures, and the accuracy at every pixel size."""
        others = (
            (SINGLE, "keeps more than the single-scale encoder"),
            (LARGE, "keeps more than one look at the enlarged picture: the scales matter, not the size"),
        )
        kept = [
            self._retention(table, reference, words)
            for reference, words in others
            if table.has(metric_of(1.0), MULTI, reference)
        ]
        return [*kept, *self._at_each_size(table)]

    def costs(self) -> Mapping[str, Mapping[str, float]]:
        """Return weights, features and seconds per picture of each encoder."""
        return {arm.name: json.loads((self._folder(arm.name) / _FACTS).read_text()) for arm in self.arms()}

    def notes(self) -> tuple[str, ...]:
        """Return what the figures rest on."""
        classes = self._classes()
        asked = _labelled(self._pictures(), "test", 1.0, classes)
        largest = max(sum(label == known for _, label in asked) for known in range(len(classes)))
        return (
            f"Always naming the most frequent scene is right for {100 * largest / len(asked):.1f} % of the "
            f"{len(asked)} test pictures at x 1.",
            "Coarser pictures are averaged and brought back to their size; finer ones show a part, enlarged, and hold "
            "no new detail. A part of a world tile is named by its own land cover, and asked about only where one "
            "class covers half of it; elsewhere the name of the whole picture is kept.",
            "The network is frozen and the same for all arms. Seeds draw the training pictures of the linear layer.",
        )

    def charts(self, table: ScoreTable) -> list[Markup]:
        """Return accuracy against pixel size."""
        factors = sorted(self.settings.factors)
        series = {
            arm.title: [(math.log2(f), table.estimate(arm.name, metric_of(f)).mean) for f in factors]
            for arm in self.arms()
            if arm.name in table.arms
        }
        labels = ("pixel size, octaves from that of training", "scenes named right")
        return [curve_chart("Accuracy against pixel size", series, labels)]

    def _retention(self, table: ScoreTable, reference: str, words: str) -> Finding:
        coarse = [factor for factor in sorted(self.settings.factors) if factor >= 1]
        ours, theirs = (_kept(table, name, coarse) for name in (MULTI, reference))
        gap = interval(float(ours[0] - theirs[0]), ours[1] - theirs[1])
        title = {known.name: known.title for known in self.arms()}
        sentence = (
            f"Over x {coarse[0]:g} to x {coarse[-1]:g} the encoder '{title[MULTI]}' keeps {100 * ours[0]:.1f} % of its "
            f"accuracy, '{title[reference]}' {100 * theirs[0]:.1f} %: difference {points(gap, _KEPT)}."
        )
        return Finding(f"The multi-scale encoder {words}.", decided(gap), sentence, {"difference": gap.as_json()})

    def _at_each_size(self, table: ScoreTable) -> list[Finding]:
        columns = {column.name: column for column in self.metrics()}
        found = contrasts(table, [(MULTI, SINGLE, name) for name in columns])
        if not found:
            return []
        ways: dict[str, list[str]] = {"higher": [], "lower": [], "undecided": []}
        for one in found:
            column = columns[one.metric]
            ways[one.direction].append(f"{column.title}: {points(one.difference, column)}")
        parts = [f"{way} at {listed(ways[way])}" for way in ("higher", "lower") if ways[way]]
        sentence = (
            f"Against the single scale, the multi-scale accuracy is {listed(parts) or 'decidedly other nowhere'}."
        )
        outcome: Outcome = "no" if ways["lower"] else "yes" if ways["higher"] else "undecided"
        question = "The multi-scale encoder is more accurate at some pixel size and less at none."
        return [Finding(question, outcome, sentence, {one.metric: one.as_json() for one in found})]

    def _pictures(self) -> list[CaptionedPicture]:
        return read_captioned(prepared(self.work, self.settings.max_train))

    def _classes(self) -> list[str]:
        return sorted({picture.label for picture in self._pictures() if picture.split == "train" and picture.label})

    def _folder(self, arm: str) -> Path:
        return self.work.out_dir / "features" / arm

    def _features(self, arm: str) -> dict[str, Tensor]:
        """Return the features of the pictures of train and val, and of test at each pixel size; encode them once."""
        folder = self._folder(arm)
        if not folder.is_dir():
            self.work.say(f"encoding, {arm}")
            with atomic_folder(folder) as staging:
                self._encode(arm, staging)
        return read_tensors(folder / _FEATURES)

    def _encode(self, arm: str, folder: Path) -> None:
        scales, enlarge = {SINGLE: ((1,), 1), LARGE: ((1,), 2), MULTI: ((1, 2), 1)}[arm]
        preset = "demo" if has_land_cover(self._pictures()) else "rsicd-small"
        encoder = SceneEncoder(preset, scales, enlarge, self.work.scale == "tiny")
        views = [("train", "train", 1.0), ("val", "val", 1.0)]
        views += [(metric_of(factor), "test", factor) for factor in self.settings.factors]
        tensors = {}
        for name, split, factor in views:
            paths = [self.work.out_dir / "data" / p.image for p in self._pictures() if p.split == split]
            tensors[name] = encoder.encode([seen_at(np.asarray(open_picture(path)), factor) for path in paths])
        write_tensors(folder / _FEATURES, tensors)
        facts = {
            "parameters": encoder.num_parameters,
            "features": tensors["train"].shape[1],
            "seconds_per_picture": encoder.seconds_per_picture,
        }
        write_json(folder / _FACTS, facts)


def metric_of(factor: float) -> str:
    """Return the name of the accuracy at a pixel size."""
    return f"x{factor:g}"


def _labelled(pictures: list[CaptionedPicture], split: str, factor: float, classes: list[str]) -> list[tuple[int, int]]:
    """Return (place among the split's pictures, class) of those whose scene is clear and known from training."""
    places = {name: place for place, name in enumerate(classes)}
    own = [picture for picture in pictures if picture.split == split]
    return [(i, places[label]) for i, picture in enumerate(own) if (label := label_at(picture, factor)) in places]


def _gathered(features: Tensor, asked: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    rows, labels = zip(*asked, strict=True)
    return features[list(rows)], torch.tensor(labels)


def _kept(table: ScoreTable, arm: str, factors: list[float]) -> tuple[float, np.ndarray]:
    """Return the area under the relative accuracy over these pixel sizes, and the same in each resample."""
    means = np.array([[table.estimate(arm, metric_of(factor)).mean] for factor in factors])
    drawn = np.stack([table.resampled(arm, metric_of(factor)) for factor in factors])
    return float(area_under_relative(factors, means)[0]), area_under_relative(factors, drawn)
