"""The alignment experiment: end to end on random towers, and its outcomes on made-up figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from geoprose.experiments.reproduce.alignment import ALIGNED, UNTRAINED, AlignmentExperiment, AlignmentSettings
from geoprose.experiments.reproduce.base import Trial, Workplace
from geoprose.experiments.reproduce.captioned import build_captioned
from geoprose.experiments.reproduce.retrieval_exam import MEAN_RECALL
from geoprose.experiments.reproduce.run import ReproduceOptions, run_reproduction
from geoprose.experiments.reproduce.score_table import ScoreTable
from geoprose.experiments.reproduce.scores import Measured
from geoprose.systems.load import load_system
from tests.experiments.reproduce.pictures import write_scenes

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = ("steps=3", "batch_size=4", "vocabulary=200", "is_tuned=true")


def _run(folder: Path) -> dict[str, Any]:
    return run_reproduction("alignment", folder / "run", ReproduceOptions("tiny", 1, folder / "scenes", SETTINGS))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alignment")
    write_scenes(folder / "scenes")
    _run(folder)
    return folder


def test_every_arm_trains_and_ranks_and_a_second_run_keeps_them(finished: Path) -> None:
    trials = finished / "run" / "trials"
    assert sorted(path.name for path in trials.iterdir()) == ["aligned", "mispaired", "tuned", "untrained"]
    weights = trials / "aligned" / "seed-0" / "train" / "system" / "model.safetensors"
    made = weights.stat().st_mtime_ns
    result = _run(finished)
    assert weights.stat().st_mtime_ns == made
    assert len(result["findings"]) == 4
    assert "Pictures found for texts" in (finished / "run" / "report.html").read_text()


def test_what_trains_is_what_the_arm_says(finished: Path) -> None:
    for arm, vision_moves in (("aligned", False), ("tuned", True)):
        folder = finished / "run" / "trials" / arm / "seed-0"
        before, after = (load_system(folder / name).model.state_dict() for name in ("start", "train/system"))
        moved = {name for name in before if not before[name].equal(after[name])}
        assert any(name.startswith("text.") for name in moved)
        assert any(name.startswith("vision.") for name in moved) == vision_moves


def test_the_control_trains_on_other_pairs(finished: Path) -> None:
    folders = [finished / "run" / "trials" / arm / "seed-0" for arm in ("aligned", "mispaired")]
    starts, ends = (
        [load_system(folder / name).model.state_dict() for folder in folders] for name in ("start", "train/system")
    )
    assert all(starts[0][name].equal(starts[1][name]) for name in starts[0]), "one seed, one start"
    assert not all(ends[0][name].equal(ends[1][name]) for name in ends[0])


def _table(tmp_path: Path, aligned: float, untrained: float) -> ScoreTable:
    build_captioned(tmp_path / "data", write_scenes(tmp_path / "scenes"), None)
    arms = {arm.name: arm for arm in AlignmentExperiment(_work(tmp_path), AlignmentSettings()).arms()}
    ids = tuple(f"q{number}" for number in range(300))
    return ScoreTable(
        {
            Trial(arms[name], 0): {
                MEAN_RECALL: Measured(ids, ids, tuple(float(number % 100 < 100 * share) for number in range(300)))
            }
            for name, share in ((ALIGNED, aligned), (UNTRAINED, untrained))
        }
    )


def _work(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, "tiny", (0,), None, print)


@pytest.mark.parametrize(
    ("aligned", "untrained", "outcome"), [(0.95, 0.3, "yes"), (0.3, 0.95, "no"), (0.9, 0.9, "undecided")]
)
def test_the_verdict_is_what_the_figures_say(tmp_path: Path, aligned: float, untrained: float, outcome: str) -> None:
    experiment = AlignmentExperiment(_work(tmp_path), AlignmentSettings())
    findings = experiment.findings(_table(tmp_path, aligned, untrained))
    assert findings[1].outcome == outcome
    assert findings[0].figures["chance"] > 0
