"""VLMEvalKit's tables: options, pairs of MME, POPE's negatives, videos, failures of the kit, totals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import TaskError
from geoprose.evaluation.layouts.open import open_predictions

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.evaluation.layouts.base import PredictionRow

YES_NO = {"index": 3, "question": "Is there a ship?", "answer": "Yes", "prediction": "yes.", "image_path": "7.jpg"}


def only_row(tmp_path: Path, record: dict[str, Any]) -> PredictionRow:
    path = tmp_path / "model_DATA.json"  # PRED_FORMAT=json
    path.write_text(json.dumps([record]))
    opened = open_predictions(path)
    assert opened.layout.name == "vlmevalkit"
    (row,) = opened.rows()
    return row


def test_both_questions_of_a_picture_are_a_pair_within_their_category(tmp_path: Path) -> None:
    row = only_row(tmp_path, YES_NO | {"category": "existence"})
    assert row.meta == {"category": "existence", "group": "existence/7.jpg"}
    assert row.references == ("Yes",)


@pytest.mark.parametrize(("category", "negatives"), [("popular", "popular"), ("adversarial,popular,random", None)])
def test_negatives_are_known_where_a_row_is_of_one_kind(category: str, negatives: str | None, tmp_path: Path) -> None:
    assert only_row(tmp_path, YES_NO | {"category": category}).meta.get("negatives") == negatives


@pytest.mark.parametrize("failure", ["Failed to obtain answer via API.", "Failed to obtain answer: <class 'X'> no"])
def test_what_the_kit_writes_after_an_error_is_no_answer(failure: str, tmp_path: Path) -> None:
    assert only_row(tmp_path, YES_NO | {"prediction": failure}).prediction == ""


def test_a_question_about_a_video_has_its_candidates_as_options(tmp_path: Path) -> None:
    record = {
        "index": 5, "video": "abc", "duration": "short", "domain": "Sports", "question": "What happens?",
        "candidates": "['A. Rain.', 'B. Snow.', '(C) Sun', 'D) Fog']", "answer": "B", "prediction": "B",
    }  # fmt: skip
    row = only_row(tmp_path, record)
    assert row.image == "abc"
    assert row.references == ("B", "Snow.")
    assert row.meta["options"] == ["Rain.", "Snow.", "Sun", "Fog"]
    assert (row.meta["domain"], row.meta["duration_group"], row.meta["answer_index"]) == ("Sports", "short", 1)


def test_circular_orders_are_joined_by_the_column_that_says_so(tmp_path: Path) -> None:
    choice = {"index": 12, "g_index": 4, "question": "?", "A": "x", "B": "y", "answer": "A", "prediction": "A"}
    assert only_row(tmp_path, choice).meta["group"] == "4"


@pytest.mark.parametrize("head", ["split,Overall,acc", "Category,Total,Hit,Accuracy"])
def test_tables_of_scores_are_refused_with_the_file_to_give(head: str, tmp_path: Path) -> None:
    path = tmp_path / "model_DATA_acc.csv"
    path.write_text(f"{head}\n" + ",".join("1" for _ in head.split(",")) + "\n")
    with pytest.raises(TaskError, match=r"totals and no answers.*_acc\.csv"):
        open_predictions(path)
