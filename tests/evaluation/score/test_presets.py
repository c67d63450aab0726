"""Every protocol and every task can be loaded, and `score` runs a miniature of each task for files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.spec import read_yaml
from geoprose.evaluation.protocols import build_metric, list_protocols, load_protocol
from geoprose.evaluation.score.request import ScoreRequest
from geoprose.evaluation.score.run import score_file
from geoprose.evaluation.score.table import file_score_table
from geoprose.evaluation.tasks import TASKS, list_tasks, load_task
from tests.fixtures.prediction_files import write_lines

if TYPE_CHECKING:
    from pathlib import Path

BOX = {"prediction": "[100, 200, 300, 400]", "boxes": [[10, 20, 30, 40]], "size_px": [100, 100]}
TWO_BOXES = {
    "prediction": "[100, 200, 300, 400], [500, 500, 600, 600]",
    "boxes": [[10, 20, 30, 40], [50, 50, 60, 60]],
    "size_px": [100, 100],
    "box_labels": ["ship", "ship"],
    "phrase": "ship",
}
SQUARE = [10.0, 20.0, 30.0, 20.0, 30.0, 40.0, 10.0, 40.0]
RANKED = {"prediction": '["p1", "p2"]', "answers": ["p1"], "captions_of": "p1", "scores": {"p1": 0.9, "p2": 0.1}}
NO_SHIP = "there is no ship in the image"
CHOICE = {"prediction": "(A)", "references": ["A", "a ship"], "options": ["a ship", "a plane"], "answer_index": 0}
ROWS: dict[str, tuple[dict[str, Any], float]] = {
    "scene": ({"prediction": "Port.", "reference": "port"}, 1.0),
    "vqa": ({"prediction": "two", "reference": "2"}, 1.0),
    "rsvqa": ({"prediction": "no", "reference": "yes", "type": "comp"}, 0.0),
    "vrsbench-vqa": ({"prediction": "blue", "reference": "Blue", "type": "color"}, 1.0),
    "grounding": (BOX, 1.0),
    "multi-target": (TWO_BOXES, 1.0),
    "detection": (TWO_BOXES, 1.0),
    "counting": ({"prediction": "3", "reference": "3", "count": 3}, 1.0),
    "segmentation": (
        {"prediction": "[100, 200, 300, 200, 300, 400, 100, 400]", "polygons": [SQUARE], "size_px": [100, 100]},
        1.0,
    ),
    "region-captioning": ({"prediction": "white ship", "reference": "white ship"}, 1.0),
    "captioning": ({"prediction": "a ship at sea", "references": ["a ship at sea", "one ship"]}, 0.0),
    "change-captioning": (
        {"prediction": "no change has occurred", "references": ["no change has occurred"], "is_changed": False},
        0.0,
    ),
    "yes-no": ({"prediction": "yes", "reference": "yes", "group": "1"}, 1.0),
    "pope": ({"prediction": "yes", "reference": "no", "negatives": "random"}, 0.0),
    "chair": ({"prediction": "a ship", "reference": "a ship", "objects": ["ship"]}, 1.0),
    "false-premise": ({"prediction": f"{NO_SHIP}.", "reference": NO_SHIP, "phrase": "ship"}, 1.0),
    "choice": (CHOICE, 1.0),
    "video-choice": ({**CHOICE, "duration_group": "short"}, 1.0),
    "numeric": ({"prediction": "10", "reference": "10"}, 1.0),
    "ocr": ({"prediction": "it says EXIT", "reference": "exit"}, 1.0),
    "retrieval": ({**RANKED, "type": "text_to_image"}, 1.0),
}
"""A row for each task for files, and its score by the default variant."""

FILE_TASKS = sorted(path.stem for path in TASKS.path.glob("*.yaml") if read_yaml(path).get("extends") == "_file")
WITHOUT_ROWS = {"change-detection"}
"""Answers that are maps, not text: they are judged by `geoprose evaluate`."""


@pytest.mark.parametrize("name", list_protocols())
def test_every_protocol_builds_its_metrics(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.name == name
    assert not protocol.variants[protocol.default].fault
    for variant in protocol.variants.values():
        metric = build_metric(variant)
        assert metric.name
        assert isinstance(metric.is_itemwise, bool)


@pytest.mark.parametrize("name", list_tasks())
def test_every_task_names_protocols_that_exist(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    for spec in [*task.types.values(), *([task.other] if task.other else [])]:
        assert not spec.protocol or spec.protocol in list_protocols()


def test_every_task_for_files_has_a_row() -> None:
    assert set(FILE_TASKS) == ROWS.keys() | WITHOUT_ROWS


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_miniature_of_each_task_for_files(name: str, tmp_path: Path) -> None:
    row, expected = ROWS[name]
    records = [{"id": str(number), "image": f"{number}.png", **row} for number in range(3)]
    path = write_lines(tmp_path / "x.jsonl", records)
    result = score_file(ScoreRequest(path, name, layout="plain", codec="vhm" if "boxes" in row else ""))
    (block,) = result["by_type"].values()
    assert block["n"] == 3
    assert block["score"] == pytest.approx(expected)
    assert len(block["variants"]) + len(block["unavailable"]) >= 2
    assert block["protocol"] in file_score_table(result)
