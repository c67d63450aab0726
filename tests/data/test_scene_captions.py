from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.neutral import read_samples
from geoprose.data.scene_captions import build_scene_captions, words_of

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    {
        "file": "images/a.png",
        "label": "DenseResidential",
        "captions": ["many houses .", "many houses .", "a road ."],
        "split": "train",
    },
    {
        "file": "images/b.png",
        "label": "storage_tanks",
        "captions": ["four tanks .", "white  tanks ."],
        "split": "test",
    },
]


def make_source(folder: Path, rows: list[dict[str, object]]) -> Path:
    from PIL import Image

    (folder / "images").mkdir(parents=True)
    for row in rows:
        Image.new("RGB", (8, 8)).save(folder / str(row["file"]))
    (folder / "annotations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize(
    ("label", "words"),
    [("DenseResidential", "dense residential"), ("storage_tanks", "storage tanks"), ("farmland", "farmland")],
)
def test_labels_become_words(label: str, words: str) -> None:
    assert words_of(label) == words


def test_training_has_one_sample_per_distinct_caption_and_test_keeps_all_references(tmp_path: Path) -> None:
    card = build_scene_captions(make_source(tmp_path / "source", ROWS), tmp_path / "out")
    train = read_samples(tmp_path / "out" / "train.jsonl")
    assert [(s.task, s.messages[1].text) for s in train] == [
        ("scene", "dense residential"),
        ("caption", "many houses ."),
        ("caption", "a road ."),
    ]
    test = read_samples(tmp_path / "out" / "test.jsonl")
    assert [s.task for s in test] == ["scene", "caption"]
    assert test[1].meta["answers"] == ["four tanks .", "white tanks ."]
    assert card["counts"] == {"test.caption": 1, "test.scene": 1, "train.caption": 2, "train.scene": 1}
    assert card["labels"] == ["dense residential", "storage tanks"]
    assert (tmp_path / "out" / train[0].images[0]).is_file()


def test_training_captions_weigh_how_typical_they_are_of_their_scene(tmp_path: Path) -> None:
    said = {"a": ["a road near houses .", "the owner is rich ."], "c": ["a road near many houses ."], "d": []}
    rows = [{**ROWS[0], "file": f"images/{name}.png", "captions": captions} for name, captions in said.items()]
    elsewhere = ["waves roll on sand .", "sand and waves .", "waves roll on sand ."]
    rows += [{**ROWS[0], "file": f"images/{n}.png", "label": "Beach", "captions": [elsewhere[n]]} for n in range(3)]
    build_scene_captions(make_source(tmp_path / "source", rows), tmp_path / "out")
    samples = read_samples(tmp_path / "out" / "train.jsonl")
    assert len(samples) == 6 + 6, "an image without a caption keeps its scene"
    weights = [(s.messages[1].text, s.meta["weight"]) for s in samples if s.task == "caption"]
    ranks = dict(weights)
    assert ranks["the owner is rich ."] == pytest.approx(1 / 3)
    assert max(ranks["a road near houses ."], ranks["a road near many houses ."]) == 1.0
    assert [weight for text, weight in weights if text == "waves roll on sand ."] == [1.0, 1.0], "equals rank alike"
    assert ranks["sand and waves ."] == pytest.approx(1 / 3)
    assert all("weight" not in s.meta for s in samples if s.task == "scene")


def test_a_limit_keeps_the_same_training_images_and_all_test_images(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "file": f"images/{number}.png"} for number in range(9)] + [ROWS[1]]
    source = make_source(tmp_path / "source", rows)
    card = build_scene_captions(source, tmp_path / "few", max_train_images=4)
    again = build_scene_captions(source, tmp_path / "again", max_train_images=4)
    assert card["num_train_images_left_out"] == 5
    assert "consensus" in str(card["caption_weight"]), "a weight of another meaning must not pass for this one"
    assert card["counts"] == again["counts"]
    assert (tmp_path / "few" / "train.jsonl").read_bytes() == (tmp_path / "again" / "train.jsonl").read_bytes()
    assert len({s.images for s in read_samples(tmp_path / "few" / "train.jsonl")}) == 4
    assert len(read_samples(tmp_path / "few" / "test.jsonl")) == 2


def test_the_same_source_gives_the_same_bytes_and_may_be_rebuilt(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", ROWS)
    build_scene_captions(source, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.json*")}
    build_scene_captions(source, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.json*")} == before


def test_missing_and_broken_annotations_name_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"annotations\.jsonl does not exist"):
        build_scene_captions(tmp_path / "none", tmp_path / "out")
    source = make_source(tmp_path / "source", ROWS)
    with (source / "annotations.jsonl").open("a") as handle:
        handle.write('{"file": "images/c.png"}\n')
    with pytest.raises(DataError, match=r"annotations\.jsonl:3 is not a whole record"):
        build_scene_captions(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="not a data set of geoprose"):
        build_scene_captions(make_source(tmp_path / "source", ROWS), tmp_path / "out")


@pytest.mark.data
def test_the_real_rsicd_has_its_published_counts(shared_data: Path, tmp_path: Path) -> None:
    card = build_scene_captions(shared_data / "rsicd", tmp_path / "out")
    counts = card["counts"]
    assert isinstance(counts, dict)
    assert (counts["train.scene"], counts["val.scene"], counts["test.scene"]) == (8734, 1094, 392)
    assert counts["test.caption"] == 392
    assert isinstance(card["labels"], list)
    assert len(card["labels"]) == 31
