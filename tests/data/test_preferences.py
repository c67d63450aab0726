"""Preference records, and the published layouts they are read from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.data.neutral import read_samples, write_samples
from geoprose.data.preferences import answer_of, is_good, make_pair, read_preferences, rejected_of, with_answer

if TYPE_CHECKING:
    from pathlib import Path

ASKED = Sample("7", ("a.png",), (Message("user", "<image>\nAny water?"),))


def test_a_pair_is_a_conversation_with_the_worse_answer_beside_it(tmp_path: Path) -> None:
    pair = make_pair(ASKED, "yes", "no", {"scores": [1.0, 0.0]})
    write_samples([pair], tmp_path / "pairs.jsonl")
    (read,) = read_samples(tmp_path / "pairs.jsonl")
    assert read == pair
    assert (answer_of(read), rejected_of(read), is_good(read)) == ("yes", "no", True)
    assert read.meta["scores"] == [1.0, 0.0]


def test_another_answer_replaces_the_last_turn_only() -> None:
    first = with_answer(ASKED, "yes")
    assert [message.text for message in with_answer(first, "no").messages] == ["<image>\nAny water?", "no"]


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (ASKED, "assistant"),
        (with_answer(ASKED, "yes"), "holds no preference"),
        (replace(with_answer(ASKED, "yes"), meta={"is_good": "true"}), "is_good"),
        (replace(with_answer(ASKED, "yes"), meta={"rejected": ["no"]}), "must be text, found list"),
    ],
)
def test_a_record_without_a_preference_is_refused(sample: Sample, said: str) -> None:
    with pytest.raises(DataError, match=said):
        answer_of(sample), is_good(sample), rejected_of(sample)


def _read(folder: Path, *records: dict[str, Any]) -> list[Sample]:
    path = folder / "published.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_preferences(path)


def test_mmpr(tmp_path: Path) -> None:
    record = {"id": 3, "image": "a.png", "question": "Any water?", "chosen": "yes", "rejected": "no"}
    (sample,) = _read(tmp_path, record)
    assert sample == replace(make_pair(ASKED, "yes", "no"), id="3")


def test_columns_of_trl(tmp_path: Path) -> None:
    image = {"type": "image"}
    asked = [{"role": "user", "content": [image, {"type": "text", "text": "Any water?"}]}]
    yes, no = ([{"role": "assistant", "content": text}] for text in ("yes", "no"))
    explicit = {"prompt": asked, "chosen": yes, "rejected": no, "images": ["a.png"]}
    implicit = {"chosen": asked + yes, "rejected": asked + no, "images": ["a.png"]}
    judged = {"prompt": "Any water?", "completion": "no", "label": False, "images": ["a.png"]}
    first, second, third = _read(tmp_path, explicit, implicit, judged)
    assert replace(first, id="7") == replace(second, id="7") == make_pair(ASKED, "yes", "no")
    assert third == replace(with_answer(ASKED, "no"), id="3", meta={"is_good": False})


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"question": "Any?", "chosen": "yes"}, "rejected must be text"),
        ({"question": "Any?", "completion": "yes", "label": 1}, "label"),
        ({"chosen": [{"role": "user", "content": "A?"}], "rejected": "no"}, "begin alike"),
        ({"prompt": [{"role": "judge", "content": "?"}], "chosen": "a", "rejected": "b"}, "role 'judge'"),
        ({"question": "<image> <image>?", "image": "a.png", "chosen": "a", "rejected": "b"}, "marks 2 pictures"),
    ],
)
def test_another_layout_is_named_with_its_line(tmp_path: Path, record: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=rf"line 1.*{said}"):
        _read(tmp_path, record)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no record"):
        _read(tmp_path)
