"""The gallery: failures first, bounded, and complete in what it counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from geoprose.evaluation.report.examples import MAX_CARDS, build_gallery
from geoprose.evaluation.report.files import RunFiles, ScoreRow, read_run
from tests.fixtures.runs import block, write_run

if TYPE_CHECKING:
    from pathlib import Path


def test_failures_come_first_with_boxes_and_other_answers(tmp_path: Path) -> None:
    files = read_run(write_run(tmp_path / "run"))
    gallery = build_gallery(files, files.drawings())
    assert [card.state for card in gallery.cards] == ["unparsed"] + 5 * ["wrong"] + 3 * ["right"]
    assert gallery.totals == {("scene", "unparsed"): 1, ("scene", "wrong"): 5, ("scene", "right"): 6}
    assert gallery.unparsed == (("scene", "", 1),)
    first = gallery.cards[0]
    assert first.id == "s11"
    assert dict(first.pictures[0].polygons)["reference"] == "4.0,4.0 30.0,4.0 30.0,30.0 4.0,30.0"
    assert first.others == {"shuffled": ""}
    assert gallery.num_pictures_refused == 0


def test_pictures_are_missing_when_the_data_is(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | {"data_dir": str(tmp_path / "elsewhere")}))
    gallery = build_gallery(read_run(folder), {})
    assert gallery.num_pictures_refused == len(gallery.cards)
    assert all("--data" in card.pictures[0].why_not for card in gallery.cards)


def test_many_predictions_give_few_cards(tmp_path: Path) -> None:
    types = [f"type {number}" for number in range(40)]
    rows = [
        ScoreRow(f"{name}-{number}", name, number % 3 / 2, number % 7 != 0) for name in types for number in range(250)
    ]
    result = {"by_type": {name: block(0.5) for name in types}}
    (tmp_path / "predictions.jsonl").write_text(
        "".join(json.dumps({"id": row.id, "task": row.task, "prediction": "x"}) + "\n" for row in rows)
    )
    gallery = build_gallery(RunFiles(tmp_path, result, {}, rows), {})
    assert {card.type for card in gallery.cards} == set(types)
    assert 3 * len(types) <= len(gallery.cards) <= 2 * MAX_CARDS
    assert sum(gallery.totals.values()) == 10_000
    assert len(gallery.unparsed) == 12


def test_graded_answers_show_the_worst_first(tmp_path: Path) -> None:
    rows = [ScoreRow(str(number), "caption", number / 10, True) for number in range(11)]
    (tmp_path / "predictions.jsonl").write_text("".join(json.dumps({"id": row.id}) + "\n" for row in rows))
    result = {"by_type": {"caption": {"score": 0.5, "accuracy": None, "metric": "CIDEr"}}}
    gallery = build_gallery(RunFiles(tmp_path, result, {}, rows), {})
    scores = [card.score for card in gallery.cards if card.state == "wrong"]
    assert scores == sorted(scores)
    assert scores[0] == 0.0
    assert all(card.score >= 0.5 for card in gallery.cards if card.state == "right")
