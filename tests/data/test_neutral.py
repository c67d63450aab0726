"""JSON lines: order, splits, line numbers, limits."""

from __future__ import annotations

import pytest

from geoprose.core.errors import DataError
from geoprose.data import neutral
from geoprose.data.neutral import iter_samples, read_samples, write_samples
from tests.fixtures.datasets import clean_dataset, make_sample


def test_samples_survive_the_file(tmp_path) -> None:
    samples = [make_sample(number) for number in range(3)]
    write_samples(samples, tmp_path / "samples.jsonl")
    assert read_samples(tmp_path / "samples.jsonl") == samples


def test_a_folder_is_read_split_by_split(tmp_path) -> None:
    clean_dataset(tmp_path)
    (tmp_path / "card.json").write_text("{}")
    assert [sample.split for sample in read_samples(tmp_path)] == ["train"] * 4 + ["test"] * 4
    assert {sample.split for sample in read_samples(tmp_path, split="test")} == {"test"}


def test_the_file_name_gives_the_split_of_records_without_one(tmp_path) -> None:
    write_samples([make_sample(1, split="")], tmp_path / "train.jsonl")
    write_samples([make_sample(2, split="")], tmp_path / "test.jsonl")
    assert [sample.id for sample in read_samples(tmp_path, split="test")] == ["-2"]


def test_a_broken_line_is_named_by_its_number(tmp_path) -> None:
    path = tmp_path / "train.jsonl"
    write_samples([make_sample(0), make_sample(1)], path)
    path.write_text(path.read_text() + '\n{"id": 3}\n')
    with pytest.raises(DataError, match=r"train\.jsonl, line 4: lacks images, messages"):
        read_samples(path)


def test_broken_lines_can_be_collected_while_the_rest_is_read(tmp_path) -> None:
    path = tmp_path / "train.jsonl"
    write_samples([make_sample(0)], path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"nonsense\n\xff\xfe\n" + path.read_bytes())
    found: list[int] = []
    samples = list(iter_samples(path, on_error=lambda number, error: found.append(number)))
    assert len(samples) == 2
    assert found == [2, 3]


def test_a_line_over_the_limit_is_refused_and_the_next_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(neutral, "MAX_RECORD_BYTES", 2000)
    path = tmp_path / "train.jsonl"
    write_samples([make_sample(0)], path)
    path.write_bytes(b'{"id": "' + b"x" * 9000 + b'"}\n' + path.read_bytes())
    found: list[str] = []
    samples = list(iter_samples(path, on_error=lambda number, error: found.append(str(error))))
    assert len(samples) == 1
    assert found == ["train.jsonl, line 1 is longer than 2000 bytes, so it is not read as a record."]


@pytest.mark.parametrize("name", ["absent.jsonl", "."])
def test_nothing_to_read_is_an_error(tmp_path, name) -> None:
    with pytest.raises(DataError, match=r"does not exist|holds no"):
        read_samples(tmp_path / name)


def test_a_file_over_the_limit_is_refused(tmp_path, monkeypatch) -> None:
    write_samples([make_sample(0)], tmp_path / "train.jsonl")
    monkeypatch.setattr(neutral, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match="larger than 10 bytes"):
        read_samples(tmp_path / "train.jsonl")
