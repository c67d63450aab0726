"""Video-MME: choices about videos of three lengths; the videos as folders of frames, subtitles beside them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.base import check_split
from geoprose.data.readers.choices import ask_choice, without_letters
from geoprose.data.readers.files import inside, join, read_jsonl, read_list
from geoprose.data.readers.general.frames import EXTRACT, check_count, sample_frames
from geoprose.data.readers.general.tables import read_parquet
from geoprose.data.readers.picture import Picture
from geoprose.data.records import fail, strings, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

LENGTHS = ("short", "medium", "long")
PATTERNS = ("videomme/test-*.parquet", "data/test-*.parquet", "test-*.parquet")
NO_SUBTITLES = "No subtitles available"
_TIMES = re.compile(r"\d+:\d+:\d+[,.]\d+\s*-->.*|\d+")
_TAGS = re.compile(r"<[^>]*>|\{\\[^}]*\}")


class VideoMmeReader:
    """Reads the questions (parquet as on the hub, or ``test.jsonl`` with the same keys) and the frames of the videos.

    Args:
        frames: Frames shown, evenly from the first to the last.
        subtitles: Whether the subtitles stand before the question: all of them, without their times.

    Source: Fu et al., "Video-MME", arXiv:2405.21075; https://huggingface.co/datasets/lmms-lab/Video-MME.
    """

    layout = (
        "videomme/test-*.parquet of https://huggingface.co/datasets/lmms-lab/Video-MME (or test.jsonl with the same "
        f"keys), the frames of each video in frames/<videoID>/ (e.g. `{EXTRACT}`), and subtitle/<videoID>.srt where "
        "subtitles are shown."
    )
    splits = ("test",)

    def __init__(self, *, frames: int = 8, subtitles: bool = False) -> None:
        if not isinstance(subtitles, bool):
            raise ConfigError(f"subtitles is {subtitles!r}; give true or false.")
        self.frames, self.subtitles = check_count(frames), subtitles

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        check_split(split, self.splits, self.layout)
        has_lines = (root / "test.jsonl").is_file()
        rows = read_jsonl(root, "test.jsonl", self.layout) if has_lines else read_parquet(root, PATTERNS, self.layout)
        for where, fields in rows:
            yield self._question(root, fields, split, where)

    def _question(self, root: Path, fields: dict[str, Any], split: str, where: str) -> Sample:
        video = inside(fields.get("videoID"), where, "videoID")
        length = fields.get("duration")
        if length not in LENGTHS:
            fail(where, f"duration {length!r} is none of {', '.join(LENGTHS)}")
        images = sample_frames(root, join("frames", video), self.frames, self.layout)
        name = text(fields.get("question_id"), where, "question_id")
        asked = text(fields.get("question"), where, "question")
        if self.subtitles:
            asked = f"This video's subtitles are listed below:\n{_subtitles(root, video, self.layout)}\n\n{asked}"
        options = without_letters(strings(fields.get("options"), where, "options"))
        picture = Picture(name, images, split, {"domain": "Video-MME"})
        category = str(fields.get("task_type") or "") or None
        return ask_choice(
            picture, asked, options, fields.get("answer"), where, category=category, duration_group=length
        )


def _subtitles(root: Path, video: str, layout: str) -> str:
    """Return the words of a subtitle file, without numbers, times and marks; repeated lines once."""
    name = join("subtitle", f"{video}.srt")
    if not (root / "subtitle").is_dir():
        raise DataError(f"{root} lacks the folder subtitle. Expected layout: {layout}")
    if not (root / name).is_file():
        return NO_SUBTITLES
    lines = [_TAGS.sub("", line).strip() for line in read_list(root, name, layout) if not _TIMES.fullmatch(line)]
    return "\n".join(dict.fromkeys(line for line in lines if line)) or NO_SUBTITLES
