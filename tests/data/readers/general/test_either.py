from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.general.either import BenchmarkReader
from tests.fixtures import general

if TYPE_CHECKING:
    from pathlib import Path


def test_tables_are_taken_where_there_are_any(tmp_path: Path) -> None:
    reader = BenchmarkReader(data_set="ocrbench")
    assert [sample.images[0].split("/")[0] for sample in reader.read(general.ocrbench(tmp_path), "test")] == [
        "OCRBench_Images", "OCRBench_Images",
    ]  # fmt: skip
    assert [sample.images[0].split("/")[0] for sample in reader.read(general.ocrbench_hub(tmp_path), "test")] == [
        ".geoprose"
    ]


def test_a_split_that_one_layout_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'validation', only train, val, test"):
        list(BenchmarkReader(data_set="science-qa").read(general.science_qa(tmp_path), "validation"))


def test_the_error_of_an_empty_folder_names_both_layouts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"coco_pope_random\.json.*lmms-lab/POPE"):
        list(BenchmarkReader(data_set="pope").read(tmp_path, "test"))
    with pytest.raises(ConfigError, match="pope"):
        BenchmarkReader(data_set="popes")
