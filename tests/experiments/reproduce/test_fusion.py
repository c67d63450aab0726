"""The fusion experiment: end to end on random parts, and its outcomes on made-up figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from geoprose.experiments.reproduce.base import Trial, Workplace
from geoprose.experiments.reproduce.caption_exam import COLUMNS
from geoprose.experiments.reproduce.fusion import FusionExperiment, FusionSettings
from geoprose.experiments.reproduce.run import ReproduceOptions, run_reproduction
from geoprose.experiments.reproduce.score_table import ScoreTable
from geoprose.experiments.reproduce.scores import SCORES_FILE, Measured, read_scores
from geoprose.systems.load import load_system
from tests.experiments.reproduce.pictures import write_scenes

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = ("steps=2", "batch_size=2", "max_test=2", "meteor=meteor-exact-stem")
ARMS = ["concat-adapted", "cross-adapted", "concat-frozen", "cross-frozen"]


def _run(folder: Path) -> dict[str, Any]:
    return run_reproduction("fusion", folder / "run", ReproduceOptions("tiny", 1, folder / "scenes", SETTINGS))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fusion")
    write_scenes(folder / "scenes", per_split=3)
    _run(folder)
    return folder


def test_every_arm_trains_and_describes_and_a_second_run_keeps_them(finished: Path) -> None:
    trials = finished / "run" / "trials"
    assert sorted(path.name for path in trials.iterdir()) == sorted(ARMS)
    weights = trials / "cross-frozen" / "seed-0" / "train" / "system" / "model.safetensors"
    made = weights.stat().st_mtime_ns
    result = _run(finished)
    assert weights.stat().st_mtime_ns == made
    assert len(result["findings"]) == 4
    scores = read_scores(trials / "cross-frozen" / "seed-0" / SCORES_FILE)
    assert {len(measured.ids) for measured in scores.values()} == {2}, "no more pictures than max_test"
    assert (finished / "run" / "report.html").is_file()


def test_the_arms_differ_in_fusion_and_in_what_trains(finished: Path) -> None:
    systems = {arm: load_system(finished / "run" / "trials" / arm / "seed-0" / "train" / "system") for arm in ARMS}
    assert {arm: system.spec.fusion.type for arm, system in systems.items()} == {
        arm: "scatter" if arm.startswith("concat") else "gated_cross_attention" for arm in ARMS
    }
    decoders = {arm: system.model.model.language_model.state_dict() for arm, system in systems.items()}
    first = decoders["concat-frozen"]
    for arm, state in decoders.items():
        is_same = all(first[name].equal(state[name]) for name in first)
        assert is_same == arm.endswith("frozen"), arm
    gates = [parameter for name, parameter in systems["cross-frozen"].model.named_parameters() if name.endswith("gate")]
    assert gates
    assert all(float(gate.detach().abs().max()) > 0 for gate in gates), "gates start at zero and must move"


def _table(cross: float, concat: float) -> ScoreTable:
    arms = {arm.name: arm for arm in _experiment().arms()}
    ids = tuple(f"q{number}" for number in range(200))

    def scores(level: float) -> dict[str, Measured]:
        values = tuple(level + (number % 7) / 10 for number in range(200))
        return {column.name: Measured(ids, ids, values) for column in COLUMNS}

    return ScoreTable(
        {
            Trial(arms[f"{fusion}-{condition}"], seed): scores(level + 0.01 * seed)
            for fusion, level in (("cross", cross), ("concat", concat))
            for condition in ("adapted", "frozen")
            for seed in range(3)
        }
    )


def _experiment() -> FusionExperiment:
    return FusionExperiment(Workplace(None, "tiny", (0,), None, print), FusionSettings())  # type: ignore[arg-type]


@pytest.mark.parametrize(("cross", "concat", "outcome"), [(0.9, 0.5, "yes"), (0.5, 0.9, "no"), (0.7, 0.7, "undecided")])
def test_the_verdict_is_what_the_figures_say(cross: float, concat: float, outcome: str) -> None:
    findings = _experiment().findings(_table(cross, concat))
    assert [finding.outcome for finding in findings] == [outcome] * 4
    assert "ROUGE-L" in findings[0].sentence
