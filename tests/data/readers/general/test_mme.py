from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.general.mme import MmeReader
from geoprose.data.readers.general.published import COGNITION, PERCEPTION
from tests.fixtures import general
from tests.fixtures.layouts import write_lines

if TYPE_CHECKING:
    from pathlib import Path


def test_both_folder_layouts_and_both_halves_are_read(tmp_path: Path) -> None:
    samples = list(MmeReader().read(general.mme(tmp_path), "test"))
    assert [(sample.meta["category"], sample.task) for sample in samples[::2]] == [
        ("existence", "perception"), ("artwork", "perception"), ("code_reasoning", "cognition"),
    ]  # fmt: skip
    assert samples[2].images == ("MME_Benchmark_release_version/artwork/images/10002.jpg",)
    assert [sample.meta["answers"] for sample in samples[:2]] == [["yes"], ["no"]]
    assert samples[0].meta["group"] == samples[1].meta["group"] != samples[2].meta["group"]


def test_the_folder_itself_may_be_given(tmp_path: Path) -> None:
    inner = general.mme(tmp_path) / "MME_Benchmark_release_version"
    assert len(list(MmeReader().read(inner, "test"))) == 6


def test_lines_without_tabulator_and_other_answers_are_named(tmp_path: Path) -> None:
    path = general.mme(tmp_path) / "MME_Benchmark_release_version/existence/000000006040.txt"
    write_lines(path, ["Is there a ship? Yes"])
    with pytest.raises(DataError, match=r"000000006040\.txt, line 1.*tabulator"):
        list(MmeReader().read(tmp_path, "test"))
    write_lines(path, ["Is there a ship?\tPerhaps"])
    with pytest.raises(DataError, match="neither yes nor no"):
        list(MmeReader().read(tmp_path, "test"))


def test_mme_has_ten_and_four_categories() -> None:
    assert (len(PERCEPTION), len(COGNITION)) == (10, 4)  # so the published scores go up to 2,000 and 800
