from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.voc import DiorReader, DiorRsvgReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_object_numbers_run_over_the_sorted_files(tmp_path: Path) -> None:
    samples = list(DiorRsvgReader().read(layouts.dior_rsvg(tmp_path), "test"))
    # 00010.xml was written first; by name 00002.xml holds objects 0 and 1, so number 2 is the dam.
    assert [sample.meta["phrase"] for sample in samples] == ["The ship at 100", "The dam at 300"]
    assert samples[0].meta["boxes"] == [[100, 10, 120, 40]]
    assert samples[0].meta["size_px"] == [800, 800]
    assert samples[0].images == ("JPEGImages/00002.jpg",)
    assert [sample.id for sample in DiorRsvgReader().read(tmp_path, "train")] == ["00002-1"]


def test_a_number_beyond_the_objects_means_that_files_are_missing(tmp_path: Path) -> None:
    root = layouts.dior_rsvg(tmp_path)
    layouts.write_lines(root / "test.txt", ["7"])
    with pytest.raises(DataError, match=r"names object 7.*hold 3"):
        list(DiorRsvgReader().read(root, "test"))


def test_dior_is_read_upright_and_oriented(tmp_path: Path) -> None:
    root = layouts.dior(tmp_path)
    upright = list(DiorReader().read(root, "test"))
    assert {str(sample.meta["phrase"]): len(sample.meta["boxes"]) for sample in upright} == {"ship": 2, "windmill": 1}  # type: ignore[arg-type]
    (oriented,) = DiorReader(is_oriented=True).read(root, "test")
    assert oriented.meta["boxes"] == [[10, 0, 20, 10, 10, 20, 0, 10]]
    grounded = {sample.meta["phrase"] for sample in DiorReader(what="grounding").read(root, "test")}
    assert grounded == {"windmill", "leftmost ship", "rightmost ship"}


def test_entities_are_refused(tmp_path: Path) -> None:
    root = layouts.dior_rsvg(tmp_path)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><annotation>&a;</annotation>'
    (root / "Annotations/00001.xml").write_text(bomb)
    with pytest.raises(DataError, match="document type"):
        list(DiorRsvgReader().read(root, "test"))


def test_broken_xml_and_missing_boxes_are_named(tmp_path: Path) -> None:
    root = layouts.dior_rsvg(tmp_path)
    (root / "Annotations/00001.xml").write_text("<annotation>")
    with pytest.raises(DataError, match="not valid XML"):
        list(DiorRsvgReader().read(root, "test"))
    layouts.write_voc(root / "Annotations/00001.xml", ["<object><name>dam</name></object>"])
    with pytest.raises(DataError, match="without <bndbox>"):
        list(DiorRsvgReader().read(root, "test"))


def test_missing_sets_say_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RSVG-pytorch"):
        list(DiorRsvgReader().read(tmp_path, "test"))
    with pytest.raises(DataError, match="gcheng-nwpu"):
        list(DiorReader().read(tmp_path, "test"))
