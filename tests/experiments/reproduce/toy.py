"""A reproduction that trains nothing: its figures are drawn from a seed, so the frame alone is under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from geoprose.core.spec import Spec
from geoprose.core.spec_paths import Place
from geoprose.experiments.reproduce.base import Arm, MetricColumn, Reproduction, Trial
from geoprose.experiments.reproduce.findings import Finding, contrasts, points
from geoprose.experiments.reproduce.registry import REPRODUCTIONS
from geoprose.experiments.reproduce.scores import Measured, Scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from geoprose.experiments.reproduce.score_table import ScoreTable

NUM_QUESTIONS, PER_PICTURE = 120, 3


class ToySettings(Spec):
    """Settings of the toy."""

    gain: float = 0.3
    """How much better the second arm is."""
    scores: Place = ""
    """Nothing is read there."""


class Toy(Reproduction):
    """Two arms and a fixed one."""

    name = "toy"
    title = "A toy"
    question = "Is <b>b</b> better than a?"
    source = "tests"
    settings_type = ToySettings
    trained: ClassVar[list[str]] = []
    fails_at: ClassVar[str] = ""

    def arms(self) -> tuple[Arm, ...]:
        return (Arm("a", "arm a"), Arm("b", "arm <b>", "better"), Arm("fixed", "fixed", is_once=True))

    def metrics(self) -> tuple[MetricColumn, ...]:
        return (MetricColumn("accuracy", "accuracy", "task <1>"), MetricColumn("score", "score", is_share=False))

    def prepare(self) -> None:
        (self.work.out_dir / "prepared").touch()

    def train(self, trial: Trial) -> None:
        if trial.label == Toy.fails_at:
            raise RuntimeError("the power went")
        Toy.trained.append(trial.label)
        (self.work.trial_dir(trial) / "system").touch()

    def measure(self, trial: Trial) -> Scores:
        assert (self.work.trial_dir(trial) / "system").is_file()
        rng = np.random.default_rng(trial.seed)
        chance = {"a": 0.4, "b": 0.4 + self.settings.gain, "fixed": 0.9}[trial.arm.name]
        values = tuple(float(value) for value in rng.random(NUM_QUESTIONS) < chance)
        ids = tuple(f"q{number}" for number in range(NUM_QUESTIONS))
        clusters = tuple(f"p{number // PER_PICTURE}" for number in range(NUM_QUESTIONS))
        return {name: Measured(ids, clusters, values) for name in ("accuracy", "score")}

    def findings(self, table: ScoreTable) -> list[Finding]:
        found = []
        for one in contrasts(table, [("b", "a", "accuracy")]):
            outcome = {"higher": "yes", "lower": "no"}.get(one.direction, "undecided")
            found.append(Finding("Is b better?", outcome, points(one.difference, self.metrics()[0]), one.as_json()))
        return found

    def costs(self) -> Mapping[str, Mapping[str, float]]:
        return {"a": {"parameters": 10}, "b": {"parameters": 20, "ms": 1.5}}

    def notes(self) -> tuple[str, ...]:
        return ("Nothing & nobody was trained.",)


def make_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``reproduce toy`` find the toy, which has trained nothing yet, until the test ends."""
    targets = {**REPRODUCTIONS._targets, "toy": "tests.experiments.reproduce.toy:Toy"}
    monkeypatch.setattr(REPRODUCTIONS, "_targets", targets)
    monkeypatch.setattr(Toy, "trained", [])
