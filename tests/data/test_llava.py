"""The LLaVA/GeoChat format: published files are read, ours are lossless and stay readable for others."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.data.llava import GEOPROSE_KEY, iter_llava, read_llava, write_llava
from tests.data.test_records import samples
from tests.fixtures.datasets import make_sample


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(sample=samples())
def test_any_sample_survives_the_file(sample, tmp_path) -> None:
    write_llava([sample], tmp_path / "x.json")
    assert read_llava(tmp_path / "x.json") == [sample]


def test_a_published_file_is_read(tmp_path) -> None:
    path = tmp_path / "llava.json"
    path.write_text(
        json.dumps(
            [
                {
                    "id": "997bb945",
                    "image": "part1/x.jpg",
                    "conversations": [
                        {"from": "human", "value": "<image>\nWhat is there?"},
                        {"from": "gpt", "value": "A port."},
                        {"from": "human", "value": "How many ships?"},
                        {"from": "gpt", "value": "12"},
                    ],
                },
                {"id": 8, "image": ["a.png", "b.png"], "source": "GeoLLaVA", "conversations": []},
            ]
        )
    )
    first, second = read_llava(path)
    assert first.images == ("part1/x.jpg",)
    assert first.messages[3] == Message("assistant", "12")
    assert second == Sample("8", ("a.png", "b.png"), (), meta={"llava": {"source": "GeoLLaVA"}})
    write_llava([second], path)
    assert json.loads(path.read_text())[0]["source"] == "GeoLLaVA"
    assert read_llava(path) == [second]


def test_a_stock_reader_finds_what_it_expects(tmp_path) -> None:
    write_llava([make_sample(1)], tmp_path / "x.json")
    entry = json.loads((tmp_path / "x.json").read_text())[0]
    assert set(entry) == {"id", "image", "conversations", GEOPROSE_KEY}
    assert isinstance(entry["image"], str)
    assert [turn["from"] for turn in entry["conversations"]] == ["human", "gpt"]
    assert entry["conversations"][0]["value"].startswith("<image>\n")
    assert entry[GEOPROSE_KEY]["georefs"][0]["crs"] == "EPSG:32631"


def test_several_images_are_written_as_a_list(tmp_path) -> None:
    sample = Sample("a", ("x.png", "y.png"), (Message("user", "<image><image>?"), Message("assistant", "b")))
    write_llava([sample], tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text())[0]["image"] == ["x.png", "y.png"]


def test_json_lines_are_read_too(tmp_path) -> None:
    write_llava([make_sample(1), make_sample(2)], tmp_path / "x.json")
    lines = [json.dumps(entry) for entry in json.loads((tmp_path / "x.json").read_text())]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    assert read_llava(tmp_path / "x.jsonl") == [make_sample(1), make_sample(2)]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"id": "1"}, "lacks conversations"),
        ({"id": "1", "conversations": {}}, "conversations must be a list"),
        ({"id": "1", "conversations": [{"from": "robot", "value": ""}]}, "from is 'robot'"),
        ({"id": "1", "conversations": [{"from": [], "value": ""}]}, "from is"),
        ({"id": "1", "conversations": [{"from": "gpt"}]}, "value must be text"),
        ({"id": 1.5, "conversations": []}, "id must be text"),
        ({"id": "1", "image": 3, "conversations": []}, "image must be a list"),
        ({"id": "1", "conversations": [], "geoprose": {"taks": ""}}, "unknown keys taks"),
        ("text", "must be an object"),
    ],
)
def test_a_broken_entry_is_named(tmp_path, entry, message) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"id": "0", "conversations": []}, entry]))
    with pytest.raises(DataError, match=message) as caught:
        read_llava(path)
    assert str(caught.value).startswith("x.json, entry 2")
    assert len(list(iter_llava(path, on_error=lambda number, error: None))) == 1


@pytest.mark.parametrize("content", [b"{}", b"[", b"\xff\xfe\x00", b"[NaN]"])
def test_a_file_that_is_no_list_is_refused(tmp_path, content) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.json"):
        read_llava(tmp_path / "x.json")
