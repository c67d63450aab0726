from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers import files
from geoprose.data.readers.pictures import PictureFinder, picture_size
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "a/../../b", "C:\\a.png", "", "  "])
def test_paths_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="not a path below"):
        files.inside(name, "here")


def test_windows_separators_are_read() -> None:
    assert files.inside("images\\a.png", "here") == "images/a.png"
    assert files.join("a", ".", "", "b.png") == "a/b.png"


def test_json_is_read_with_a_byte_order_mark_and_refused_as_latin(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf[{"a": 1}]')
    assert files.read_entries(tmp_path, "a.json", "layout") == [{"a": 1}]
    (tmp_path / "b.json").write_bytes('["ä"]'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        files.read_json(tmp_path, "b.json", "layout")
    (tmp_path / "c.json").write_text('{"a": NaN}')
    with pytest.raises(DataError, match="NaN"):
        files.read_json(tmp_path, "c.json", "layout")
    (tmp_path / "d.json").write_text("{}")
    with pytest.raises(DataError, match="must be a list"):
        files.read_entries(tmp_path, "d.json", "layout")


def test_large_files_are_refused_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 3)
    monkeypatch.setattr(files, "MAX_XML_BYTES", 3)
    (tmp_path / "a.json").write_text("[1, 2]")
    (tmp_path / "a.xml").write_text("<abc/>")
    with pytest.raises(DataError, match="larger than 3 bytes"):
        files.read_json(tmp_path, "a.json", "layout")
    with pytest.raises(DataError, match="larger than 3 bytes"):
        files.read_xml(tmp_path / "a.xml")


def test_pictures_are_found_without_their_ending(tmp_path: Path) -> None:
    layouts.pictures(tmp_path, "images/P0003__1.0__0.tif", "images/b.JPG")
    finder = PictureFinder(tmp_path, "images", "layout")
    assert finder.find("P0003__1.0__0") == "images/P0003__1.0__0.tif"
    assert finder.find("b.png") == "images/b.JPG"
    with pytest.raises(DataError, match="layout"):
        finder.find("c")


def test_sizes_come_from_the_header(tmp_path: Path) -> None:
    layouts.pictures(tmp_path, "a.png", side_px=5)
    assert picture_size(tmp_path / "a.png") == (5, 5)
    with pytest.raises(DataError, match="does not exist"):
        picture_size(tmp_path / "b.png")
    (tmp_path / "c.png").write_text("no")
    with pytest.raises(DataError, match="not a picture"):
        picture_size(tmp_path / "c.png")
