from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.general.json_sets import MathVistaReader, OcrBenchReader, PopeReader, ScienceQaReader
from geoprose.data.readers.general.published import FORMULA
from geoprose.evaluation.metrics.questions.ocr import FORMULA as METRIC_FORMULA
from tests.fixtures import general

if TYPE_CHECKING:
    from pathlib import Path


def test_pope_has_three_kinds_of_negatives(tmp_path: Path) -> None:
    samples = list(PopeReader().read(general.pope(tmp_path), "test"))
    assert [sample.meta["negatives"] for sample in samples[::2]] == ["random", "popular", "adversarial"]
    assert [sample.meta["answers"] for sample in samples[:2]] == [["yes"], ["no"]]
    assert samples[0].images == ("val2014/COCO_val2014_1.jpg",)


def test_pope_refuses_other_answers_and_paths(tmp_path: Path) -> None:
    path = general.pope(tmp_path) / "coco_pope_popular.json"
    row = json.loads(path.read_text().splitlines()[0])
    for changed, message in (({**row, "label": "maybe"}, "neither"), ({**row, "image": "../x.jpg"}, "not a path")):
        path.write_text(json.dumps(changed))
        with pytest.raises(DataError, match=rf"coco_pope_popular\.json, line 1.*{message}"):
            list(PopeReader().read(tmp_path, "test"))


def test_formulas_of_ocrbench_have_the_category_that_the_metric_knows(tmp_path: Path) -> None:
    text, formula = OcrBenchReader().read(general.ocrbench(tmp_path), "test")
    assert (text.meta["answers"], text.meta["category"]) == (["CENTRE", "Center"], "Regular Text Recognition")
    assert formula.meta["category"] == FORMULA == METRIC_FORMULA


def test_mathvista_has_kinds_of_answers_and_units(tmp_path: Path) -> None:
    samples = list(MathVistaReader().read(general.mathvista(tmp_path), "testmini"))
    assert [sample.task for sample in samples] == ["one_decimal", "integer", "choice", "list"]
    assert samples[0].messages[0].text == "<image>\nHow far? (Unit: m)"
    assert samples[2].meta["answers"] == ["B", "12"]
    assert samples[2].meta["category"] == "textbook question answering"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": ""}, "hides"),
        ({"precision": 3}, "precision 3"),
        ({"question_type": "multi_choice", "choices": ["1", "2"]}, "none of"),
    ],
)
def test_mathvista_refuses_what_it_cannot_score(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = general.mathvista(tmp_path) / "annot_testmini.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps({"1": {**rows["1"], **change}}))
    with pytest.raises(DataError, match=f"problem 1.*{message}"):
        list(MathVistaReader().read(tmp_path, "testmini"))


def test_scienceqa_gives_the_hint_and_leaves_out_problems_without_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        (sample,) = ScienceQaReader().read(general.science_qa(tmp_path), "test")
    assert sample.messages[0].text == "<image>\nContext: It grows.\nWhich is it?"
    assert sample.meta["answers"] == ["B", "plant"]
    assert "1 problems of ScienceQA test have no picture" in caplog.text
