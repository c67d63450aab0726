"""The scale experiment: end to end on random encoders, and its three outcomes on made-up figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geoprose.experiments.reproduce.base import Trial, Workplace
from geoprose.experiments.reproduce.run import ReproduceOptions, run_reproduction
from geoprose.experiments.reproduce.scale import ScaleExperiment, ScaleSettings, metric_of
from geoprose.experiments.reproduce.score_table import ScoreTable
from geoprose.experiments.reproduce.scores import Measured
from tests.experiments.reproduce.pictures import write_scenes, write_world

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = ("factors=[0.5,1,4]", "penalties=[0.01]", "max_train=60")


def _run(out: Path, data: Path, **options: Any) -> dict[str, Any]:
    return run_reproduction("scale", out, ReproduceOptions("tiny", 2, data, SETTINGS, **options))


def test_scenes_are_named_at_every_pixel_size_and_a_second_run_keeps_them(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "scenes")
    result = _run(tmp_path / "run", data)
    assert {f["outcome"] for f in result["findings"]} <= {"yes", "no", "undecided"}
    assert len(result["findings"]) == 3
    weights = tmp_path / "run" / "trials" / "multi" / "seed-1" / "probe.safetensors"
    made = weights.stat().st_mtime_ns
    assert "Accuracy against pixel size" in (tmp_path / "run" / "report.html").read_text()
    _run(tmp_path / "run", data)
    assert weights.stat().st_mtime_ns == made


def test_the_world_is_asked_about_parts_by_their_own_land_cover(tmp_path: Path) -> None:
    _run(tmp_path / "run", write_world(tmp_path), arms=("single",))
    experiment = ScaleExperiment(
        Workplace(tmp_path / "run", "tiny", (0,), None, print), ScaleSettings(factors=(0.5, 1.0, 4.0))
    )
    scores = experiment.measure(Trial(experiment.arms()[0], 0))
    assert set(scores) == {"x0.5", "x1", "x4"}
    assert scores["x1"].ids == scores["x4"].ids
    assert scores["x0.5"].ids != scores["x1"].ids, "a part may be clear where the whole is not, and the other way round"
    assert scores["x1"].mean > 0.4, "the classes of the synthetic globe differ in colour"


def _table(kept: dict[str, float]) -> ScoreTable:
    """Return figures of 400 pictures: right at x 1 in 80 %, at x 4 in the given share of those."""
    trials = {}
    arms = {arm.name: arm for arm in ScaleExperiment(Workplace(None, "tiny", (0,), None, print), None).arms()}  # type: ignore[arg-type]
    ids = tuple(f"p{number}" for number in range(400))
    for arm, share in kept.items():
        for seed in range(2):
            first = np.arange(400) % 10 < 8
            later = first & (np.arange(400) % 100 < 100 * share)
            values = {1.0: first, 4.0: later}
            trials[Trial(arms[arm], seed)] = {
                metric_of(factor): Measured(ids, ids, tuple(float(right) for right in rights))
                for factor, rights in values.items()
            }
    return ScoreTable(trials)


@pytest.mark.parametrize(
    ("kept", "outcomes"),
    [
        ({"single": 0.5, "single-large": 0.5, "multi": 0.9}, ["yes", "yes", "yes"]),
        ({"single": 0.9, "single-large": 0.5, "multi": 0.5}, ["no", "undecided", "no"]),
        ({"single": 0.7, "single-large": 0.7, "multi": 0.7}, ["undecided"] * 3),
    ],
)
def test_the_verdict_is_what_the_figures_say(kept: dict[str, float], outcomes: list[str]) -> None:
    settings = ScaleSettings(factors=(1.0, 4.0))
    experiment = ScaleExperiment(Workplace(None, "tiny", (0,), None, print), settings)  # type: ignore[arg-type]
    assert [finding.outcome for finding in experiment.findings(_table(kept))] == outcomes


def test_without_the_other_arms_nothing_is_claimed() -> None:
    experiment = ScaleExperiment(Workplace(None, "tiny", (0,), None, print), ScaleSettings(factors=(1.0, 4.0)))  # type: ignore[arg-type]
    assert experiment.findings(_table({"multi": 0.7})) == []
