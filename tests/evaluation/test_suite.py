"""A suite: one system, several tasks, and a reason for every task that did not run."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from geoprose.core.errors import ConfigError, PresetError, TaskError
from geoprose.evaluation import suite as suite_module
from geoprose.evaluation.locking import hold
from geoprose.evaluation.resume import Shard
from geoprose.evaluation.run import EvaluateOptions
from geoprose.evaluation.suite import SuiteEntry, SuiteSpec, evaluate_suite, list_suites, load_suite
from geoprose.evaluation.table import suite_table
from geoprose.evaluation.tasks import load_task
from tests.fixtures.questions import colour_task, write_colours
from tests.fixtures.systems import tiny_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import System

QUIET = EvaluateOptions(has_report=False)


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system(dtype=torch.float32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_colours(tmp_path / "data" / "near", count=4)
    return tmp_path / "data"


def _task_file(folder: Path, name: str, **changes: Any) -> str:
    path = folder / f"{name}.yaml"
    task = colour_task(name=name, baselines=("majority",), **changes)
    path.write_text(yaml.safe_dump(task.model_dump(mode="json", exclude_defaults=True)))
    return str(path)


def _suite(folder: Path, **data_of: str) -> SuiteSpec:
    entries = tuple(SuiteEntry(task=_task_file(folder, name), data=data) for name, data in data_of.items())
    return SuiteSpec(name="few", title="Few", description="Some tasks.", entries=entries)


def test_tasks_run_and_missing_data_and_impossible_ways_are_named(system: System, root: Path, tmp_path: Path) -> None:
    entries = (
        SuiteEntry(task=_task_file(tmp_path, "one"), data="near"),
        SuiteEntry(task=_task_file(tmp_path, "two"), data="far"),
        SuiteEntry(task=_task_file(tmp_path, "three", answering="contrastive"), data="near"),
        SuiteEntry(task=_task_file(tmp_path, "four", prompt={"template": "Say: {question}"}), data="near"),
    )
    suite = SuiteSpec(name="few", title="Few", description="Some tasks.", entries=entries)
    run = evaluate_suite(system, suite, root, tmp_path / "out", QUIET)
    assert set(run.results) == {"one", "four"}
    assert run.skipped["two"].endswith("lacks far.")
    assert "cannot answer by 'contrastive'" in run.skipped["three"]
    written = json.loads((tmp_path / "out" / "suite.json").read_text())
    assert written["suite"] == "few"
    assert written["system"]["name"] == "demo"
    assert set(written["tasks"]) == {"one", "four"}
    assert written["skipped"] == run.skipped
    one = written["tasks"]["one"]
    assert one["overall"]["n"] == 8
    assert one["data"] == str((root / "near").resolve())
    assert (tmp_path / "out" / "four" / "predictions.jsonl").is_file()
    table = suite_table(run.results)
    assert "2 tasks" in table
    assert table.count("\n") == 5


def test_the_system_is_loaded_once(system: System, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Any] = []
    load = suite_module.load_for_evaluation
    monkeypatch.setattr(suite_module, "load_for_evaluation", lambda given: (loads.append(given), load(given))[1])
    evaluate_suite(system, _suite(tmp_path, one="near", two="near"), root, tmp_path / "out", QUIET)
    assert len(loads) == 1


def test_a_suite_of_which_nothing_runs_fails_with_the_reasons(system: System, root: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"No task of suite few could be run:\n  one: .* lacks far\."):
        evaluate_suite(system, _suite(tmp_path, one="far"), root, tmp_path / "out", QUIET)
    assert json.loads((tmp_path / "out" / "suite.json").read_text())["tasks"] == {}


def test_shards_of_a_suite_wait_for_one_another(system: System, root: Path, tmp_path: Path) -> None:
    suite = _suite(tmp_path, one="near", two="near")
    first, second = (EvaluateOptions(has_report=False, shard=Shard(place, 2)) for place in (1, 2))
    assert evaluate_suite(system, suite, root, tmp_path / "out", first).waiting == {"one": [2], "two": [2]}
    run = evaluate_suite(system, suite, root, tmp_path / "out", second)
    assert set(run.results) == {"one", "two"}
    again = evaluate_suite(None, suite, root, tmp_path / "out", EvaluateOptions(has_report=False, is_rescore=True))
    assert again.results["one"]["overall"] == run.results["one"]["overall"]


def test_an_earlier_run_of_the_suite_stands_beside(system: System, root: Path, tmp_path: Path) -> None:
    suite = _suite(tmp_path, one="near")
    evaluate_suite(system, suite, root, tmp_path / "old", QUIET)
    options = EvaluateOptions(has_report=False, previous=tmp_path / "old")
    run = evaluate_suite(system, suite, root, tmp_path / "new", options)
    assert run.results["one"]["differences"]["previous"]["overall"]["difference"] == 0


def test_two_suites_in_one_folder_are_refused(system: System, root: Path, tmp_path: Path) -> None:
    with hold(tmp_path / "out", "suite-1-of-1"), pytest.raises(TaskError, match=f"process {os.getpid()}"):
        evaluate_suite(system, _suite(tmp_path, one="near"), root, tmp_path / "out", QUIET)


def test_suites_are_valid_and_name_tasks_that_exist(tmp_path: Path) -> None:
    for name in list_suites():
        suite = load_suite(name)
        assert suite.name == name
        assert all(load_task(entry.task).name == entry.task for entry in suite.entries)
    with pytest.raises(PresetError, match="Unknown suite"):
        load_suite("everythin")
    path = tmp_path / "suite.yaml"
    path.write_text("name: x\ntitle: X\ndescription: d\nentries: []\n")
    with pytest.raises(ConfigError, match="entries"):
        load_suite(path)
    path.write_text("name: x\ntitle: X\ndescription: d\nentries: [{task: world, data: a}, {task: world, data: b}]\n")
    with pytest.raises(PresetError, match="names world twice"):
        load_suite(path)
