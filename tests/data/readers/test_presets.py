"""The tasks and suites of named data sets: they load, readers take their options, samples fit the types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geoprose.data.readers.registry import build_reader
from geoprose.evaluation.predictions import to_predictions
from geoprose.evaluation.protocols import list_protocols
from geoprose.evaluation.scoring import Scorer
from geoprose.evaluation.suite import list_suites, load_suite
from geoprose.evaluation.tasks import TASKS, list_tasks, load_task
from tests.fixtures import layouts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geoprose.evaluation.tasks import TaskSpec

DATA_SET_TASKS = [name for name in list_tasks() if load_task(name).reader.type != "neutral"]

MINIATURES: dict[str, Callable[[Path], Path]] = {
    "rsvqa-lr": layouts.rsvqa_lr,
    "cdvqa": layouts.cdvqa,
    "rsieval-vqa": layouts.rsgpt,
    "rsieval-captioning": layouts.rsgpt,
    "rsicd-captioning": layouts.rsicd,
    "rsicd-retrieval": layouts.rsicd,
    "nwpu-captioning": layouts.nwpu_captions,
    "chatearthnet-captioning": layouts.chatearthnet,
    "aid": layouts.aid,
    "aid-likelihood": layouts.aid,
    "aid-contrastive": layouts.aid,
    "ucmerced": layouts.ucmerced,
    "geochat-bench-aid": layouts.geochat_bench,
    "geochat-bench-lrben": layouts.geochat_bench,
    "geochat-bench-referring": layouts.geochat_bench,
    "geochat-bench-region-captioning": layouts.geochat_bench,
    "dior-rsvg": layouts.dior_rsvg,
    "dior-detection": layouts.dior,
    "dior-r-detection": layouts.dior,
    "dior-counting": layouts.dior,
    "vrsbench-captioning": layouts.vrsbench,
    "vrsbench-referring": layouts.vrsbench,
    "vrsbench-questions": layouts.vrsbench,
    "dota-detection": layouts.dota,
    "dota-pope": layouts.dota,
    "dota-chair": layouts.dota,
    "dota-false-premise": layouts.dota,
    "xview-detection": layouts.coco,
    "samrs-sota": layouts.samrs,
    "levir-cc": layouts.levir_cc,
    "levir-cd": layouts.levir_cd,
    "levir-cd-yes-no": layouts.levir_cd,
    "lrs-vqa": layouts.lrs_vqa,
    "mme-realworld-rs": layouts.mme_realworld,
    "sample-rsicd-scene": layouts.annotations,
    "sample-rsicd-captioning": layouts.annotations,
    "sample-rsicd-retrieval": layouts.annotations,
    "sample-dota-detection": layouts.annotations,
    "sample-dota-pope": layouts.annotations,
    "sample-levir-change": layouts.annotations,
    "sample-levir-yes-no": layouts.annotations,
}

SAMPLE_FOLDERS = {entry.task: entry.data for entry in load_suite("samples").entries}


def _protocols(task: TaskSpec) -> set[str]:
    types = [*task.types.values(), *([task.other] if task.other else [])]
    return {spec.protocol for spec in types if spec.protocol}


@pytest.mark.parametrize("name", sorted(path.stem for path in TASKS.path.glob("*.yaml")))
def test_a_task_is_called_as_its_file(name: str) -> None:
    assert f"\nname: {name}\n" in "\n" + (TASKS.path / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", DATA_SET_TASKS)
def test_the_reader_of_a_task_takes_its_options(name: str) -> None:
    task = load_task(name)
    reader = build_reader(task.reader.type, task.reader.options)
    assert task.split in reader.splits
    assert _protocols(task) <= set(list_protocols())
    assert not task.title.startswith("_")


@pytest.mark.parametrize("name", MINIATURES)
def test_samples_have_the_types_that_the_task_scores(name: str, tmp_path: Path) -> None:
    task = load_task(name)
    samples = list(build_reader(task.reader.type, task.reader.options).read(MINIATURES[name](tmp_path), task.split))
    assert samples
    assert {sample.task for sample in samples} <= set(task.types) or task.other is not None


@pytest.mark.parametrize("name", MINIATURES)
def test_the_right_answer_scores_one(name: str, tmp_path: Path) -> None:
    task = load_task(name)
    if any(spec.protocol in ("segmentation", "change-detection") for spec in task.types.values()):
        pytest.skip("the right answer is a mask and no text")
    root = MINIATURES[name](tmp_path)
    samples = list(build_reader(task.reader.type, task.reader.options).read(root, task.split))
    texts = [sample.messages[-1].text for sample in samples]
    if task.answering == "retrieval":
        texts = [json.dumps(sample.meta["answers"]) for sample in samples]
    scorer = Scorer(task, samples, (), root=root)
    scored = scorer.judge(to_predictions(samples, texts, "system", [("hash",)] * len(samples)))
    for kind, block in scorer.report(scored)["by_type"].items():
        assert block["parse_failure_rate"] == 0.0, kind
        if block["accuracy"] is not None:
            assert block["accuracy"] == 1.0, kind


@pytest.mark.parametrize("name", list_suites())
def test_suites_name_tasks_that_exist_once(name: str) -> None:
    entries = load_suite(name).entries
    assert len({entry.task for entry in entries}) == len(entries)
    assert {entry.task for entry in entries} <= set(list_tasks())


@pytest.mark.parametrize("name", SAMPLE_FOLDERS)
def test_the_samples_that_lie_on_this_machine(name: str, shared_data: Path) -> None:
    task = load_task(name)
    samples = list(
        build_reader(task.reader.type, task.reader.options).read(shared_data / SAMPLE_FOLDERS[name], task.split)
    )
    assert samples
    assert {sample.task for sample in samples} <= set(task.types)
    assert len({sample.id for sample in samples}) == len(samples)
    assert all((shared_data / SAMPLE_FOLDERS[name] / image).is_file() for image in samples[0].images)
