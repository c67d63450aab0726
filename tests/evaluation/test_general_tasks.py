"""Tasks of general benchmarks: from the files of a miniature to the scores, with right answers and on a tiny system."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.data.readers.registry import build_reader
from geoprose.evaluation.answering.expand import expanded
from geoprose.evaluation.predictions import Prediction, read_predictions, to_predictions
from geoprose.evaluation.run import EvaluateOptions, evaluate
from geoprose.evaluation.scoring import Scorer
from geoprose.evaluation.suite import evaluate_suite, load_suite
from geoprose.evaluation.tasks import list_tasks, load_task
from tests.fixtures import general
from tests.fixtures.general_tasks import TASKS
from tests.fixtures.systems import tiny_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.systems.build import System


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system()


def _asked(name: str, root: Path) -> list[Sample]:
    task = load_task(name)
    return expanded(task, list(build_reader(task.reader.type, task.reader.options).read(root, task.split)))


def _report(name: str, root: Path, texts: list[str]) -> dict[str, Any]:
    samples = _asked(name, root)
    scorer = Scorer(load_task(name), samples, (), root=root)
    scored = scorer.judge(to_predictions(samples, texts, "system", [("hash",)] * len(samples)))
    return scorer.report(scored)["by_type"]


def _prompts(name: str, root: Path, out: Path, system: System) -> dict[str, Prediction]:
    # Miniatures have too few pictures to exchange, so there are no baselines here.
    task = load_task(name).model_copy(update={"max_new_tokens": 2, "baselines": ()})
    evaluate(system, task, root, out, EvaluateOptions(has_report=False))
    return {row.id: row for row in read_predictions(out / "predictions.jsonl")}


@pytest.mark.parametrize("name", TASKS)
def test_right_answers_score_one_and_no_answers_nothing(name: str, tmp_path: Path) -> None:
    root = TASKS[name](tmp_path)
    samples = _asked(name, root)
    right = _report(name, root, [sample.messages[-1].text for sample in samples])
    none = _report(name, root, [""] * len(samples))
    assert sum(block["n"] for block in none.values()) == len(samples)  # unparsable ones stay in the denominator
    for kind in right:
        assert (right[kind]["accuracy"], right[kind]["parse_failure_rate"]) == (1.0, 0.0), kind
        assert none[kind]["accuracy"] == 0.0, kind


@pytest.mark.parametrize("name", TASKS)
def test_a_tiny_system_goes_through(name: str, tmp_path: Path, system: System) -> None:
    rows = _prompts(name, TASKS[name](tmp_path / "data"), tmp_path / "out", system)
    assert list(rows) == [sample.id for sample in _asked(name, tmp_path / "data")]
    result = json.loads((tmp_path / "out/result.json").read_text())
    assert sum(block["n"] for block in result["by_type"].values()) == len(rows)
    assert all(block["n"] and 0 <= block["accuracy"] <= 1 for block in result["by_type"].values())


def test_prompts_are_the_published_ones(tmp_path: Path, system: System) -> None:
    asked = _prompts("realworldqa", general.realworldqa(tmp_path / "r"), tmp_path / "ro", system)
    assert asked["0"].prompt == f"Where is it?\n\nA. Left\nB. Right\nC. Ahead\n{general.LETTER_ONLY}"
    assert asked["1"].prompt == f"How many cars?\n{general.WORD_ONLY}"
    video = _prompts("video-mme", general.video_mme(tmp_path / "v"), tmp_path / "vo", system)["001-1"]
    assert video.prompt.endswith("How many ships leave?\nA. One.\nB. Two.\nC. Three.\nD. None.\nThe best answer is:")
    assert len(video.images) == 8
    read = _prompts("mathvista", general.mathvista(tmp_path / "m"), tmp_path / "mo", system)
    assert read["3"].prompt.endswith("Question: Which?\nChoices:\n(A) 3\n(B) 12\n(C) no")
    assert "one decimal place" in read["1"].prompt


def test_mmbench_is_asked_in_every_order_and_right_only_in_all_of_them(tmp_path: Path) -> None:
    root = general.mmbench(tmp_path)
    samples = _asked("mmbench", root)
    assert [len([s for s in samples if s.meta["group"] == name]) for name in ("241", "5")] == [3, 2]
    block = _report("mmbench", root, ["A"] * len(samples))["choice"]  # right in one order of each question
    assert block["accuracy"] == pytest.approx(2 / 5)
    assert block["variants"]["circular"]["score"] == 0.0
    half = _report("mmbench", root, ["A", "A", "A", "B", "A"])["choice"]["variants"]["circular"]
    assert half["corpus"]["circular_accuracy"] == 0.5
    assert _report("mmbench-vanilla", root, ["C", "A"])["choice"]["accuracy"] == 0.5


def test_orders_that_the_engine_makes_are_those_of_the_file(tmp_path: Path) -> None:
    root = general.mmbench(tmp_path)
    once = load_task("mmbench-vanilla")
    circular = once.model_copy(update={"prompt": once.prompt.model_copy(update={"is_circular": True})})
    given = list(build_reader(once.reader.type, once.reader.options).read(root, "dev"))
    made = [(s.meta["options"], s.meta["answer_index"], s.meta["group"]) for s in expanded(circular, given)]
    assert made == [(s.meta["options"], s.meta["answer_index"], s.meta["group"]) for s in _asked("mmbench", root)]


def test_mme_scores_pairs(tmp_path: Path) -> None:
    root = general.mme(tmp_path)
    blocks = _report("mme", root, ["yes", "no", "yes", "yes", "yes", "yes"])
    assert blocks["perception"]["accuracy"] == 0.75
    published = blocks["perception"]["variants"]["mme"]
    assert published["corpus"]["mme_score"] == 100 + 100 + 50 + 0  # existence whole, artwork half
    assert blocks["cognition"]["variants"]["mme"]["corpus"]["mme_score"] == 50


def test_solved_examples_stand_before_each_question(tmp_path: Path, system: System) -> None:
    root = TASKS["rsvqa-lr-4shot"](tmp_path / "data")
    rows = _prompts("rsvqa-lr-4shot", root, tmp_path / "out", system)
    assert {name: sorted(row.shots) for name, row in rows.items()} == {
        "1-q1": ["0-q0", "1-q2", "2-q4", "3-q6"],  # the training questions of type presence
        "1-q2": ["0-q1", "1-q3", "2-q5", "3-q7"],  # those of type count
    }


def test_turns_see_the_answers_before_them(tmp_path: Path, system: System) -> None:
    rows = _prompts("conversations", general.conversations(tmp_path / "data"), tmp_path / "out", system)
    assert [len(rows[name].images) for name in ("7/turn-1", "7/turn-2", "8/turn-1", "8/turn-2")] == [1, 1, 1, 2]


def test_every_task_of_a_general_benchmark_has_a_miniature() -> None:
    readers = {load_task(name).reader.type for name in TASKS} - {"neutral", "rsvqa"}
    assert {name for name in list_tasks() if load_task(name).reader.type in readers} <= set(TASKS)


@pytest.mark.parametrize("name", ["general", "hallucination"])
def test_every_entry_of_the_suites_has_a_folder_of_its_own_benchmark(name: str) -> None:
    suite = load_suite(name)
    assert all(load_task(entry.task).reader.type != "neutral" for entry in suite.entries)


def test_the_suite_runs_what_is_there_and_names_the_rest(tmp_path: Path, system: System) -> None:
    general.mme(tmp_path / "data/MME")
    run = evaluate_suite(system, "general", tmp_path / "data", tmp_path / "out", EvaluateOptions(has_report=False))
    assert list(run.results) == ["mme"]
    assert "lacks MMBench" in run.skipped["mmbench"]
    assert len(run.skipped) == len(load_suite("general").entries) - 1
