"""What lmms-eval logs: written answers, losses and log-likelihoods of options, several rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import TaskError
from geoprose.evaluation.layouts.open import open_predictions
from tests.fixtures import prediction_files as files

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.evaluation.layouts.base import PredictionRow

# One line as release 0.7.3 writes it, multiple choice of three options.
LOSSES: dict[str, Any] = {
    "doc_id": 4,
    "target": "1",
    "filtered_resps": [["22.7", "False"], ["17.3", "True"], ["62.6", "False"]],
    "token_counts": [None, None, None],
    "doc_hash": "00",
    "acc": 1.0,
    "input": "Is there water?",
}


def only_row(path: Path, record: dict[str, Any]) -> PredictionRow:
    opened = open_predictions(files.write_lines(path / "x_samples_t.jsonl", [record]))
    assert opened.layout.name == "lmms-eval"
    (row,) = opened.rows()
    return row


def test_a_written_answer_is_a_text_or_a_list_of_one(tmp_path: Path) -> None:
    record = {"doc_id": 0, "target": "Rural", "filtered_resps": "rural", "doc_hash": "00", "input": "Rural or urban?"}
    row = only_row(tmp_path, record)
    assert (row.prediction, row.references, row.scores) == ("rural", ("Rural",), {})
    assert only_row(tmp_path, record | {"filtered_resps": ["rural"]}) == row


def test_of_losses_the_smallest_is_the_answer(tmp_path: Path) -> None:
    row = only_row(tmp_path, LOSSES)
    assert (row.prediction, row.references) == ("1", ("1",))
    assert row.scores == {"0": -22.7, "1": -17.3, "2": -62.6}


def test_of_log_likelihoods_the_largest_is_the_answer(tmp_path: Path) -> None:
    record = LOSSES | {"filtered_resps": [["-22.7", "False"], ["-17.3", "True"], ["-62.6", "False"]]}
    assert only_row(tmp_path, record) == only_row(tmp_path, LOSSES)


def test_options_of_the_document_name_the_answer(tmp_path: Path) -> None:
    row = only_row(tmp_path, LOSSES | {"doc": {"options": ["ship", "plane", "car"], "image_id": "7.png"}})
    assert (row.prediction, row.references, row.image) == ("plane", ("plane",), "7.png")
    assert row.meta == {"options": ["ship", "plane", "car"], "answer_index": 1}


def test_unconditional_scores_of_mutual_information_are_no_options(tmp_path: Path) -> None:
    pairs = [["5", "False"], ["1", "False"], ["4", "False"], ["2", "False"]]
    row = only_row(tmp_path, LOSSES | {"filtered_resps": pairs, "acc_mutual_info": 1.0})
    assert (row.prediction, row.scores) == ("1", {"0": -5.0, "1": -4.0})


def test_a_score_that_is_no_number_is_never_the_answer(tmp_path: Path) -> None:
    nothing = [["nan", "False"], ["nan", "False"]]
    assert only_row(tmp_path, LOSSES | {"filtered_resps": nothing}).prediction == ""
    assert only_row(tmp_path, LOSSES | {"filtered_resps": [["nan", "False"], ["3", "False"]]}).prediction == "1"


@pytest.mark.parametrize(
    ("answers", "message"),
    [(["a port", "yes"], "2 answers to one question"), ([["-1", "False"], ["2", "False"]], "both signs")],
)
def test_what_has_no_one_meaning_is_refused(answers: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=message):
        only_row(tmp_path, LOSSES | {"filtered_resps": answers})


def test_pictures_are_named_by_the_media_that_the_log_lists(tmp_path: Path) -> None:
    assert only_row(tmp_path, LOSSES | {"input_media": ["a/7.jpg"]}).image == "a/7.jpg"
