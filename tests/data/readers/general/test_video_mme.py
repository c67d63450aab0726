from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.general.video_mme import NO_SUBTITLES, VideoMmeReader
from tests.fixtures import general

if TYPE_CHECKING:
    from pathlib import Path


def test_tables_and_lines_give_the_same_questions(tmp_path: Path) -> None:
    from_table = list(VideoMmeReader().read(general.video_mme(tmp_path / "a"), "test"))
    assert from_table == list(VideoMmeReader().read(general.video_mme_lines(tmp_path / "b"), "test"))
    short, long = from_table
    assert short.meta["options"] == ["One.", "Two.", "Three.", "None."]
    assert (short.meta["duration_group"], long.meta["duration_group"]) == ("short", "long")
    assert short.meta["category"] == "Counting Problem"
    assert (len(short.images), len(long.images)) == (8, 3)  # of 17 frames, and all of 3


def test_subtitles_stand_before_the_question_without_times(tmp_path: Path) -> None:
    short, long = VideoMmeReader(subtitles=True).read(general.video_mme(tmp_path), "test")
    assert short.messages[0].text.endswith("listed below:\nA ship leaves.\n\nHow many ships leave?")
    assert NO_SUBTITLES in long.messages[0].text
    shutil.rmtree(tmp_path / "subtitle")
    with pytest.raises(DataError, match="lacks the folder subtitle"):
        list(VideoMmeReader(subtitles=True).read(tmp_path, "test"))


def test_a_video_without_frames_is_answered_with_the_command(tmp_path: Path) -> None:
    shutil.rmtree(general.video_mme(tmp_path) / "frames/N1cdUjctpG8")
    with pytest.raises(DataError, match=r"frames/N1cdUjctpG8.*ffmpeg"):
        list(VideoMmeReader().read(tmp_path, "test"))
