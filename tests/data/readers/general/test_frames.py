from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.general.frames import check_count, even_places, sample_frames
from tests.fixtures.layouts import pictures

if TYPE_CHECKING:
    from pathlib import Path


@given(st.integers(2, 400), st.integers(2, 64))
def test_places_are_those_of_the_published_loaders(total: int, count: int) -> None:
    if total > count:
        published = np.linspace(0, total - 1, count, dtype=int).tolist()
        for place, (ours, theirs) in enumerate(zip(even_places(total, count), published, strict=True)):
            is_whole = place * (total - 1) % (count - 1) == 0
            assert ours == theirs or (is_whole and ours == theirs + 1)  # 25 * 226 / 50 is 113, and 112 in floats


def test_few_frames_are_all_shown_and_one_is_the_middle() -> None:
    assert even_places(3, 8) == [0, 1, 2]
    assert even_places(9, 1) == [4]


def test_frames_are_sorted_by_name(tmp_path: Path) -> None:
    pictures(tmp_path, *(f"v/{number:03}.png" for number in (3, 1, 2, 10)))
    assert sample_frames(tmp_path, "v", 2, "layout") == ("v/001.png", "v/010.png")


def test_missing_frames_are_answered_with_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ffmpeg -i VIDEO.*the layout"):
        sample_frames(tmp_path, "frames/x", 8, "the layout")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no frame"):
        sample_frames(tmp_path, "empty", 8, "the layout")


@pytest.mark.parametrize("frames", [0, -1, True, 2.5, "8"])
def test_impossible_numbers_of_frames_are_refused(frames: Any) -> None:
    with pytest.raises(ConfigError, match="frames"):
        check_count(frames)
