from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.annotations import KINDS, AnnotationsReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample


def read(root: Path, what: str, split: str = "test", **options: object) -> list[Sample]:
    return list(AnnotationsReader(what=what, **options).read(layouts.annotations(root), split))  # type: ignore[arg-type]


def test_scenes_have_the_classes_of_every_split_as_options(tmp_path: Path) -> None:
    samples = read(tmp_path, "scene")
    assert [s.meta["answers"] for s in samples] == [["dense residential", "DenseResidential"], ["beach", "Beach"]]
    assert samples[0].meta["options"] == ["beach", "dense residential", "forest"]
    assert samples[0].meta["domain"] == tmp_path.name
    assert samples[0].meta["gsd_m"] == 0.1524
    assert [s.id for s in read(tmp_path, "scene", "train")] == ["images/c.png-scene"]


def test_splits_can_be_called_otherwise(tmp_path: Path) -> None:
    assert len(read(tmp_path, "scene", split_names={"train": "test"})) == 3
    assert len(read(tmp_path, "scene", "val", split_names={"": "val"})) == 2


def test_captions_questions_and_queries(tmp_path: Path) -> None:
    (caption,) = read(tmp_path, "caption")
    assert caption.meta["answers"] == ["Many houses .", "Houses ."]
    (question,) = read(tmp_path, "qa")
    assert (question.task, question.meta["count"], question.meta["size_px"]) == ("count", 2, [100, 50])
    assert Counter(s.task for s in read(tmp_path, "retrieval")) == {"image_to_text": 1, "text_to_image": 2}


def test_objects_with_four_corners_and_without_a_known_size(tmp_path: Path) -> None:
    samples = read(tmp_path, "detection")
    assert [(s.images[0], s.meta["phrase"]) for s in samples] == [
        ("images/a.png", "harbor"), ("images/a.png", "ship"), ("images/b.png", "ship"),
    ]  # fmt: skip
    assert samples[0].meta["boxes"] == [[50, 10, 90, 10, 90, 40, 50, 40]]
    assert samples[0].meta["difficult"] == [True]
    assert samples[2].meta["size_px"] == [8, 8]  # from the header
    renamed = read(tmp_path, "detection", label_names={"ship": "boat"})
    assert [s.meta["phrase"] for s in renamed] == ["boat", "harbor", "boat"]


def test_pope_asks_about_objects_or_labels(tmp_path: Path) -> None:
    boxes = read(tmp_path, "pope", classes=["plane"])
    assert {s.meta["phrase"] for s in boxes} == {"ship", "harbor", "plane"}
    labels = read(tmp_path, "label_pope", per_picture=1)
    assert Counter(s.messages[-1].text for s in labels) == {"yes": 6, "no": 6}
    assert all("size_group" not in s.meta for s in labels)


def test_pairs_are_changed_by_share_or_by_mask(tmp_path: Path) -> None:
    samples = read(tmp_path, "mask")
    assert [(s.images, s.meta["mask"], s.meta["is_changed"]) for s in samples] == [
        (("A/d.png", "B/d.png"), "label/d.png", True),
        (("A/e.png", "B/e.png"), "label/e.png", False),
    ]
    assert [s.messages[-1].text for s in read(tmp_path, "yes_no")] == ["yes", "no"]


@pytest.mark.parametrize("what", KINDS)
def test_ids_are_unique_in_every_kind(tmp_path: Path, what: str) -> None:
    ids = [s.id for s in read(tmp_path, what)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"file": "/etc/passwd"}, "not a path below"),
        ({"file": "a.png", "boxes": [{"bbox": [1, 2, 3], "label": "x"}], "width": 4, "height": 4}, "four numbers"),
        ({"file": "a.png", "boxes": [{"bbox": [1, 2, 3, 4]}], "width": 4, "height": 4}, "label must be text"),
        ("{", "not valid JSON"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, row: object, message: str) -> None:
    layouts.write_lines(tmp_path / "annotations.jsonl", [row])
    with pytest.raises(DataError, match=message) as caught:
        list(AnnotationsReader(what="detection").read(tmp_path, "test"))
    assert "annotations.jsonl, line 1" in str(caught.value)


def test_unknown_kinds_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="label_pope"):
        AnnotationsReader(what="boxes")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"annotations\.jsonl, one object per picture"):
        list(AnnotationsReader().read(tmp_path, "test"))
