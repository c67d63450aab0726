"""Our runs and foreign files are scored by one piece; baselines get the default variant alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from geoprose.core.types import Message, Sample
from geoprose.data.neutral import write_samples
from geoprose.evaluation.predictions import Prediction, write_predictions
from geoprose.evaluation.score.request import ScoreRequest
from geoprose.evaluation.score.run import score_file
from geoprose.evaluation.scoring import AnswerFormat, Scorer
from geoprose.evaluation.tasks import load_task

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def samples() -> list[Sample]:
    generator = random.Random(0)
    return [
        Sample(
            str(number),
            (f"{number // 6}.png",),
            (Message("user", "<image>\nIs it?"), Message("assistant", generator.choice(["yes", "no"]))),
            generator.choice(["presence", "comp", "count"]),
            "test",
        )
        for number in range(120)
    ]


def answers(samples: list[Sample], source: str) -> list[Prediction]:
    generator = random.Random(len(source))
    return [
        Prediction(
            sample.id, sample.task, source, sample.images, (), "Is it?", generator.choice(["yes", "no", ""]), "yes", 0
        )
        for sample in samples
    ]


def test_a_run_and_its_file_have_the_same_blocks(samples: list[Sample], tmp_path: Path) -> None:
    task = load_task("rsvqa")
    write_samples(samples, tmp_path / "test.jsonl")
    rows = answers(samples, "system")
    write_predictions(tmp_path / "predictions.jsonl", rows)
    scorer = Scorer(task, samples, [], root=tmp_path)
    report = scorer.report(scorer.judge(rows))
    result = score_file(ScoreRequest(tmp_path / "predictions.jsonl", task, data=tmp_path))
    for key in ("overall", "aggregates", "by_type", "parse_failures"):
        assert result[key] == report[key]


def test_baselines_are_judged_by_the_default_alone(samples: list[Sample]) -> None:
    scorer = Scorer(load_task("rsvqa"), samples, [])
    ours, theirs = scorer.judge(answers(samples, "system")), scorer.judge(answers(samples, "majority"))
    assert len(scorer.report(ours)["by_type"]["comp"]["variants"]) > 2
    assert list(scorer.report(theirs)["by_type"]["comp"]["variants"]) == ["exact"]
    gap = scorer.difference(ours, theirs)
    assert gap["overall"]["difference"] == pytest.approx(
        scorer.report(ours)["overall"]["score"] - scorer.report(theirs)["overall"]["score"]
    )
    assert gap["by_type"].keys() == {"presence", "comp", "count"}
    assert len(ours.scores) == len(ours.judgements) == 120


def test_boxes_are_read_in_the_format_of_who_answered() -> None:
    meta = {"boxes": [[10, 20, 30, 40]], "size_px": [100, 100], "answers": ["[100 200 300 400]"]}
    sample = Sample("1", ("1.png",), (Message("user", "?"),), "grounding", "test", (), meta)
    scorer = Scorer(load_task("grounding"), [sample], [], AnswerFormat("vhm", "resize", 64))
    row = Prediction("1", "grounding", "system", ("1.png",), (), "?", "[100, 200, 300, 400]", "", 0)
    assert scorer.judge([row]).scores == [1.0]
    hundred = AnswerFormat("teochat", "resize", 64)
    assert scorer.judge([row], hundred).scores == [0.0]
