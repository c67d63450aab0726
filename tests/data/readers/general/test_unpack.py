from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from geoprose.core.errors import DataError
from geoprose.data.readers.general import unpack
from geoprose.data.readers.general.unpack import Unpacker, listed
from tests.fixtures.general import encoded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("picture_format", "ending"),
    [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("TIFF", "tif")],
)
def test_known_formats_are_written_as_they_are_under_their_hash(
    picture_format: str, ending: str, tmp_path: Path
) -> None:
    content = encoded(1, picture_format)
    name = Unpacker(tmp_path).place(content, "row 0")
    assert re.fullmatch(rf"\.geoprose/pictures/[0-9a-f]{{32}}\.{ending}", name)
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("picture_format", ["GIF", "BMP"])
def test_other_formats_become_png(picture_format: str, tmp_path: Path) -> None:
    name = Unpacker(tmp_path).place(encoded(1, picture_format), "row 0")
    with Image.open(tmp_path / name, formats=["PNG"]) as picture:
        assert (picture.size, picture.mode) == ((8, 8), "RGB")


def test_an_animation_becomes_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    name = Unpacker(tmp_path).place(buffer.getvalue(), "row 0")
    with Image.open(tmp_path / name) as picture:
        assert picture.getpixel((0, 0)) == (255, 0, 0)


def test_the_same_picture_is_one_file_and_is_written_once(tmp_path: Path) -> None:
    unpacker = Unpacker(tmp_path)
    name = unpacker.place(encoded(1), "row 0")
    before = (tmp_path / name).stat().st_mtime_ns
    assert unpacker.place_base64(base64.encodebytes(encoded(1)).decode(), "row 1") == name  # with its line ends
    assert (tmp_path / name).stat().st_mtime_ns == before
    assert Unpacker(tmp_path).place(encoded(2), "row 2") != name
    assert len(list((tmp_path / ".geoprose/pictures").iterdir())) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "none of PNG"),
        (b"<svg></svg>", "none of PNG"),
        (b"%!PS-Adobe", "none of PNG"),
        (encoded(1)[:40], "broken"),
        (encoded(1)[:-20], "broken"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 80, "broken"),
        (b"II*\x00" + b"\xff" * 80, "broken"),
    ],
)
def test_what_is_no_whole_picture_is_refused_with_its_place(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"row 7.*{message}"):
        Unpacker(tmp_path).place(content, "row 7")
    assert not list(tmp_path.rglob("*.png"))


def test_a_picture_that_declares_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\x00" * 16
    with pytest.raises(DataError, match="row 0"):
        Unpacker(tmp_path).place(bomb, "row 0")


def test_limits_of_bytes_and_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_PICTURE_PX", 63)
    with pytest.raises(DataError, match="8 x 8 pixels, above 63"):
        Unpacker(tmp_path).place(encoded(1), "row 0")
    monkeypatch.setattr(unpack, "MAX_PICTURE_BYTES", 10)
    with pytest.raises(DataError, match="at most 10"):
        Unpacker(tmp_path).place(encoded(1), "row 0")


def test_what_is_no_base64_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3.*not base64"):
        Unpacker(tmp_path).place_base64("../../etc/passwd", "row 3")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".geoprose").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"\.geoprose.*cannot be written"):
        Unpacker(tmp_path).place(encoded(1), "row 0")


def test_lists_that_tables_hold_as_text() -> None:
    assert listed("['a', \"it's\", 3]", "row 0") == ["a", "it's", "3"]
    assert listed("[]", "row 0") == []
    assert listed(" plain, text ", "row 0") == [" plain, text "]
    assert listed("[unclosed", "row 0") == ["[unclosed"]
    for text in ("[a b]", "[['nested']]", "[__import__('os')]", "[" * 5000 + "]" * 5000):
        with pytest.raises(DataError, match="row 0"):
            listed(text, "row 0")
