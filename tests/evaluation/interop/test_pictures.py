"""Every form in which a kit hands over a picture or a video, and what is not opened."""

from __future__ import annotations

import base64
import io
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geoprose.core.errors import DataError, InputError, ResourceError
from geoprose.evaluation.interop.pictures import even_places, to_frames, to_picture
from geoprose.inference.features import open_picture
from tests.fixtures.systems import picture

if TYPE_CHECKING:
    from pathlib import Path


def _png() -> bytes:
    raw = io.BytesIO()
    picture(3).save(raw, "PNG")
    return raw.getvalue()


def _forms(folder: Path) -> list[Any]:
    path = folder / "a b.png"
    path.write_bytes(_png())
    address = "data:image/png;base64," + base64.b64encode(_png()).decode()
    return [
        picture(3), path, str(path), path.as_uri(), address, _png(), {"bytes": _png(), "path": None},
        {"bytes": None, "path": str(path)}, np.asarray(picture(3)),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(9))
def test_every_form_is_the_same_picture(number: int, tmp_path: Path) -> None:
    seen = open_picture(to_picture(_forms(tmp_path)[number]))
    assert np.array_equal(np.asarray(seen), np.asarray(picture(3)))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("https://example.org/a.png", InputError, "Download the picture"),
        ("nowhere.png", DataError, "does not exist"),
        (b"%PDF-1.4", DataError, "should be a picture"),
        ("data:image/png,abc", InputError, "base64"),
        ("data:image/png;base64,a", DataError, "not base64"),
        (7, InputError, "int is not a picture"),
        (np.zeros((4, 4, 3)), InputError, "ndarray is not a picture"),
    ],
)
def test_what_is_no_picture_here_is_refused(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        to_picture(value)


def test_frames_are_spread_from_the_first_to_the_last() -> None:
    assert even_places(9, 3) == [0, 4, 8]
    assert even_places(2, 3) == [0, 1]
    assert even_places(5, 1) == [2]
    assert to_frames(np.stack([np.asarray(picture(seed)) for seed in range(4)]), 2)[1] == picture(3)


def test_a_folder_of_frames_is_a_video(tmp_path: Path) -> None:
    for number in range(4):
        picture(number).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    assert [frame.name for frame in to_frames(str(tmp_path), 2)] == ["0.png", "3.png"]


def test_a_video_without_frames_or_without_its_decoder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no frames"):
        to_frames([], 4)
    with pytest.raises(InputError, match="at least 1"):
        to_frames([picture()], 0)
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "x.mp4").write_bytes(b"")
    with pytest.raises(ResourceError, match="pip install av"):
        to_frames(tmp_path / "x.mp4", 4)


def test_a_video_file_is_decoded_where_pyav_is_installed(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "x.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for level in (0, 80, 160, 240):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    first, last = to_frames(tmp_path / "x.avi", 2)
    assert np.asarray(first).mean() < 20
    assert np.asarray(last).mean() > 220
    (tmp_path / "broken.avi").write_bytes(b"no video")
    with pytest.raises(DataError, match="cannot be read"):
        to_frames(tmp_path / "broken.avi", 2)
