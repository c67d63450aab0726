"""The whole distillation on random weights and a synthetic globe: every arm, stopped in the middle, gone on with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.data.neutral import read_samples
from geoprose.data.world.build import build_world
from geoprose.experiments.reproduce.distillation import Distillation
from geoprose.experiments.reproduce.distillation_exam import TASK_FIGURES, VQA, mean_of, write_exam
from geoprose.experiments.reproduce.distillation_methods import METHODS
from geoprose.experiments.reproduce.run import ReproduceOptions, run_reproduction
from geoprose.experiments.reproduce.scores import Measured
from tests.fixtures.world import small_settings, write_globe, write_land_cover

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("globe")
    write_globe(folder / "globe.png")
    write_land_cover(folder / "cover.tif")
    build_world(folder / "world", small_settings(), folder / "globe.png", folder / "cover.tif")
    train = folder / "world" / "train.jsonl"
    train.write_text("".join(train.read_text().splitlines(keepends=True)[::20]))  # reading them all takes seconds a run
    return folder / "world"


def options(world: Path, *overrides: str, seeds: int = 2) -> ReproduceOptions:
    questions = f"questions={dict.fromkeys((*VQA, 'dominant', 'box', 'caption'), 2)}"
    common = ("steps=2", "rounds=1", "meteor=meteor-exact-stem", questions)
    return ReproduceOptions(scale="tiny", seeds=seeds, data_dir=world, overrides=(*common, *overrides))


def test_from_data_to_verdict_and_on_after_a_stop(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = "methods=[forward_kl]"
    measure = Distillation.measure

    def stop(self: Distillation, trial: Any) -> Any:
        if trial.label == "forward_kl, seed 0":
            raise KeyboardInterrupt
        return measure(self, trial)

    monkeypatch.setattr(Distillation, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        run_reproduction("distillation", tmp_path / "run", options(world, chosen))
    kept = tmp_path / "run" / "trials" / "forward_kl" / "seed-0" / "train" / "system" / "model.safetensors"
    written = kept.stat().st_mtime_ns
    monkeypatch.setattr(Distillation, "measure", measure)
    result = run_reproduction("distillation", tmp_path / "run", options(world, chosen))
    assert kept.stat().st_mtime_ns == written, "what was trained is not trained again"
    seeds = {name: arm["seeds"] for name, arm in result["arms"].items()}
    assert seeds == {"plain": [0, 1], "teacher": [0], "start": [0], "forward_kl": [0, 1]}
    for arm in result["arms"].values():
        assert set(arm["figures"]) == {metric["name"] for metric in result["metrics"]}
        assert arm["figures"]["mean"]["mean"] == pytest.approx(
            sum(arm["figures"][name]["mean"] for name in TASK_FIGURES) / 4
        )
    assert [finding["question"].split()[0] for finding in result["findings"]] == ["Is", "Does", "Does"]
    assert set(result["costs"]) >= {"teacher", "student", "training: plain"}
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_every_method_trains_and_is_measured(world: Path, tmp_path: Path) -> None:
    result = run_reproduction("distillation", tmp_path / "run", options(world, seeds=1))
    assert set(result["arms"]) == {*METHODS, "teacher", "start"}
    assert not result["missing"]
    starts = [finding["question"] for finding in result["findings"] if "feature alignment" in finding["question"]]
    assert len(starts) == 2
    for name, method in METHODS.items():
        record = json.loads((tmp_path / "run" / "trials" / name / "seed-0" / "train" / "run.json").read_text())
        assert [loss["type"] for loss in record["recipe"]["stages"][0]["losses"]] == [x["type"] for x in method.losses]
        assert (record["recipe"]["teacher"] is not None) == method.needs_teacher
        assert record["stages"]["instruct"]["steps"] == 2


def test_the_exam_is_the_same_every_time_and_keeps_to_its_numbers(world: Path, tmp_path: Path) -> None:
    most = {"presence": 3, "caption": 2}
    first = write_exam(world, tmp_path / "a", most)
    second = write_exam(world, tmp_path / "b", most)
    samples = list(read_samples(first / "test.jsonl"))
    assert (first / "test.jsonl").read_bytes() == (second / "test.jsonl").read_bytes()
    counts = {name: sum(sample.task == name for sample in samples) for name in ("presence", "caption", "box", "list")}
    whole = [sample for sample in read_samples(world / "test.jsonl") if sample.task == "box"]
    assert counts == {"presence": 3, "caption": 2, "box": len(whole), "list": 0}
    assert all((first / image).is_file() for sample in samples for image in sample.images)


def test_the_mean_of_the_tasks_counts_each_task_once() -> None:
    many = Measured(tuple("abcd"), tuple("abcd"), (1.0, 1.0, 1.0, 0.0))
    few = Measured(("e",), ("e",), (0.25,))
    assert mean_of([many, few]).mean == pytest.approx(0.5)
