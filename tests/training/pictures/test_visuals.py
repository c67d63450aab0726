"""Pictures, videos and arrays of further modalities, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geoprose.core.errors import DataError
from geoprose.core.types import JsonValue, Sample
from geoprose.processing.visuals import Video
from geoprose.training.pictures.visuals import VisualFiles, media_files, read_media, visuals_of

ROOT = Path("r")


def _sample(num_images: int, **meta: JsonValue) -> Sample:
    return Sample("s", tuple(f"{number}.png" for number in range(num_images)), (), meta=meta)


def test_every_image_is_a_picture_unless_frames_say_otherwise() -> None:
    assert [v.paths for v in visuals_of(_sample(2), ROOT)] == [(ROOT / "0.png",), (ROOT / "1.png",)]
    picture, video, last = visuals_of(_sample(5, frames=[0, 3, 0]), ROOT)
    assert (picture.is_video, video.is_video, last.is_video) == (False, True, False)
    assert video.paths == (ROOT / "1.png", ROOT / "2.png", ROOT / "3.png")
    assert visuals_of(_sample(1, frames=[1]), ROOT)[0].is_video, "a video of one frame is no picture"


def test_pictures_of_a_sample_are_counted_where_it_matters() -> None:
    assert [v.num_pictures for v in visuals_of(_sample(3), ROOT)] == [1, 1, 1]
    assert [v.num_pictures for v in visuals_of(_sample(3), ROOT, counts_pictures=True)] == [3, 3, 3]
    assert [v.num_pictures for v in visuals_of(_sample(4, frames=[0, 2, 0]), ROOT, True)] == [2, 1, 2]


@pytest.mark.parametrize("frames", [[2], [1, -1], "2", [1, 1, 1]])
def test_frames_that_do_not_fit_are_named(frames: JsonValue) -> None:
    with pytest.raises(DataError, match="Sample s: meta"):
        visuals_of(_sample(3 if frames == [2] else 2, frames=frames), ROOT)


def test_keys_tell_visuals_apart() -> None:
    digests = {ROOT / "a": "aa", ROOT / "b": "bb"}
    a, b = ROOT / "a", ROOT / "b"
    keys = [
        VisualFiles((a,)).key(digests),
        VisualFiles((a,), num_pictures=2).key(digests),
        VisualFiles((a, b), True).key(digests),
        VisualFiles((b, a), True).key(digests),
    ]
    assert keys[0] == "aa", "caches of single pictures stay what they were"
    assert len(set(keys)) == 4


def test_reading(tmp_path: Path) -> None:
    Image.new("L", (4, 3)).save(tmp_path / "a.png")
    assert VisualFiles((tmp_path / "a.png",)).read().mode == "RGB"  # type: ignore[union-attr]
    video = VisualFiles((tmp_path / "a.png",) * 2, True).read()
    assert isinstance(video, Video)
    assert len(video.frames) == 2


def test_media(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3), dtype=np.float64))
    np.save(tmp_path / "b.npy", np.zeros((2, 3), dtype=np.float16))
    sample = _sample(0, media={"audio": ["a.npy", "b.npy"]})
    values = read_media(media_files(sample, tmp_path))["audio_values"]
    assert values.shape == (2, 2, 3)
    assert values.mean() == 0.5
    assert read_media({}) == {}


@pytest.mark.parametrize("media", [{"smell": ["a.npy"]}, {"audio": "a.npy"}, ["a.npy"]])
def test_media_that_no_branch_reads(media: JsonValue) -> None:
    with pytest.raises(DataError, match="Sample s"):
        media_files(_sample(0, media=media), ROOT)


def test_broken_arrays_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npy does not exist"):
        read_media({"audio": [tmp_path / "none.npy"]})
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(DataError, match=r"text\.npy is no array"):
        read_media({"audio": [tmp_path / "text.npy"]})
    np.save(tmp_path / "whole.npy", np.zeros(3, dtype=np.int64))
    with pytest.raises(DataError, match="floating-point"):
        read_media({"audio": [tmp_path / "whole.npy"]})
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.save(tmp_path / "b.npy", np.zeros(4))
    with pytest.raises(DataError, match="differ in shape"):
        read_media({"audio": [tmp_path / "a.npy", tmp_path / "b.npy"]})
