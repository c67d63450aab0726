"""Every layout is told from its keys and read into rows, on miniatures with the real keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ConfigError, TaskError
from geoprose.evaluation.layouts.open import open_predictions
from geoprose.evaluation.layouts.registry import LAYOUTS, list_layouts, sniff_layout
from tests.fixtures import prediction_files as files

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.evaluation.layouts.base import PredictionRow

CASES: list[tuple[str, files.Records, dict[str, Any]]] = [
    (
        "geochat",
        files.GEOCHAT_SCENE,
        {"id": "Airport/airport_1.jpg", "references": ("Airport",), "image": "Airport/airport_1.jpg", "type": ""},
    ),
    (
        "geochat",
        files.GEOCHAT_REFERRING,
        {
            "prediction": "{<10><20><30><40>|<90>}",
            "references": (),
            "image": "P0001_0",
            "meta": {
                "boxes": [[50.0, 100.0, 150.0, 100.0, 150.0, 200.0, 50.0, 200.0]],
                "size_group": "small",
                "category": "ref",
            },
        },
    ),
    ("geochat", files.GEOCHAT_REGION, {"references": ("white ship",), "type": "region_caption"}),
    ("earthdial", files.EARTHDIAL_SCENE, {"references": ("MediumResidential",), "image": ""}),
    ("earthdial", files.EARTHDIAL_VQA, {"type": "comp", "references": ("no",), "prediction": "yes"}),
    ("earthdial", files.EARTHDIAL_CAPTION, {"references": ("one plane .", "one plane .", "a field .")}),
    (
        "earthdial",
        files.EARTHDIAL_BOX,
        {
            "references": ("[[10, 20, 30, 40, 90]][[1, 2, 3, 4, 0]]",),
            "meta": {"size_group": "small", "category": "ref"},
            "type": "",
        },
    ),
    (
        "vrsbench",
        files.VRSBENCH_VQA,
        {"id": "P0003_1.png#4", "type": "quantity", "references": ("2",), "meta": {"verdict": "1"}},
    ),
    (
        "vrsbench",
        files.VRSBENCH_REFERRING,
        {"meta": {"is_unique": True, "size_group": "small", "phrase": "ship"}, "references": ("{<10><20><30><40>}",)},
    ),
    ("lhrs", files.LHRS_VQA, {"id": "12", "type": "presence", "references": ("yes",)}),
    ("lhrs", files.LHRS_BOX, {"image": "1.jpg", "references": ("[0.1, 0.2, 0.3, 0.4]",)}),
    ("vhm", files.VHM_SCENE, {"image": "port_1.jpg", "references": ("port",), "meta": {"size_px": [600, 600]}}),
    (
        "vhm",
        files.VHM_BOX,
        {"meta": {"size_px": [800, 400], "boxes": [[80.0, 80.0, 240.0, 160.0]]}, "references": ()},
    ),
    ("qwen", files.QWEN_VQA, {"id": "3", "references": ("12", "twelve")}),
    ("qwen", files.QWEN_CAPTION, {"id": "3", "image": "3", "prediction": "a river", "references": ()}),
    ("qwen", files.QWEN_BOX, {"meta": {"boxes": [[80.0, 80.0, 240.0, 160.0]], "size_px": [800, 400]}}),
    ("internvl", files.INTERNVL_RSVQA, {"id": "5", "type": "rural_urban", "references": ("urban",)}),
    ("internvl", files.INTERNVL_RSDET, {"meta": {"boxes": [[80.0, 80.0, 240.0, 160.0]], "size_px": [800, 400]}}),
    ("internvl", files.INTERNVL_BOX, {"meta": {"boxes": [[80.0, 80.0, 240.0, 160.0]], "size_px": [800, 400]}}),
    ("internvl", files.INTERNVL_VQA, {"id": "9", "references": ("3",), "prompt": "How many?"}),
    ("llava", files.LLAVA, {"id": "0", "prediction": "a river", "references": (), "prompt": "What is this?"}),
    ("lmms-eval", files.LMMS_EVAL, {"id": "0", "prediction": "Rural", "references": ("rural", "countryside")}),
    (
        "vlmevalkit",
        files.VLMEVALKIT,
        {
            "id": "1000007",
            "references": ("B", "a plane"),
            "image": "7.jpg",
            "meta": {"options": ["a ship", "a plane"], "answer_index": 1, "category": "position", "group": "7"},
        },
    ),
    ("geoprose", files.GEOPROSE, {"type": "presence", "image": "images/1.png", "scores": {"yes": -0.5, "no": -1.5}}),
    ("plain", files.PLAIN, {"references": ("3", "three"), "type": "count", "meta": {"category": "easy"}}),
]
IDS = [f"{name}-{number}" for number, (name, _, _) in enumerate(CASES)]


def first_row(path: Path, layout: str = "") -> PredictionRow:
    return next(open_predictions(path, layout).rows())


@pytest.mark.parametrize(("name", "records", "expected"), CASES, ids=IDS)
def test_a_miniature_is_told_from_its_keys_and_read(
    name: str, records: files.Records, expected: dict[str, Any], tmp_path: Path
) -> None:
    path = files.write_lines(tmp_path / "answers.jsonl", records)
    opened = open_predictions(path)
    assert (opened.layout.name, opened.is_sniffed) == (name, True)
    row = next(opened.rows())
    assert {key: getattr(row, key) for key in expected} == expected
    assert first_row(path, name) == row


@pytest.mark.parametrize(("name", "records", "expected"), CASES, ids=IDS)
def test_the_same_as_one_json_list_and_inside_an_object(
    name: str, records: files.Records, expected: dict[str, Any], tmp_path: Path
) -> None:
    lines = files.write_lines(tmp_path / "answers.jsonl", records)
    listed, wrapped = tmp_path / "list.json", tmp_path / "object.json"
    listed.write_text(json.dumps(records, indent=1))
    wrapped.write_text(json.dumps({"results": {"acc": 1}, "outputs": records}, indent=1))
    rows = list(open_predictions(lines).rows())
    assert list(open_predictions(listed).rows()) == rows
    assert list(open_predictions(wrapped).rows()) == rows


def test_every_layout_has_a_miniature_and_a_source() -> None:
    assert {name for name, _, _ in CASES} == set(LAYOUTS.names())
    for layout in list_layouts():
        assert layout.source
        assert layout.title


def test_rows_without_identifiers_are_named_after_their_place(tmp_path: Path) -> None:
    path = files.write_lines(tmp_path / "vg.jsonl", files.LHRS_BOX)
    assert [row.id for row in open_predictions(path).rows()] == ["row 1", "row 2"]


def test_unknown_keys_are_refused_with_the_keys_that_are_there() -> None:
    with pytest.raises(TaskError, match=r"keys foo, prompt.*--list-layouts"):
        sniff_layout([{"foo": 1, "prompt": 2}], "x.jsonl")


def test_a_record_of_another_layout_is_named(tmp_path: Path) -> None:
    path = files.write_lines(tmp_path / "x.jsonl", [*files.LHRS_VQA, {"target": "yes"}])
    with pytest.raises(TaskError, match=r"x\.jsonl record 2 is not of the lhrs layout.*pred"):
        list(open_predictions(path, "lhrs").rows())
    with pytest.raises(ConfigError, match="Did you mean 'lhrs'"):
        open_predictions(path, "lhr")


def test_totals_without_answers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"results": {"pope": {"f1": 0.8}}, "versions": {}, "n-shot": {}}, indent=1))
    with pytest.raises(TaskError, match="totals and no answers"):
        open_predictions(path)
