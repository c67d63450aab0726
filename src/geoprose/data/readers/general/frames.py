"""Videos as folders of frames: no decoder comes with geoprose, so frames are extracted beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.pictures import list_pictures

if TYPE_CHECKING:
    from pathlib import Path

EXTRACT = "ffmpeg -i VIDEO -vf fps=1 FOLDER/%06d.jpg"
"""What to run where frames are missing."""


def sample_frames(root: Path, folder: str, count: int, layout: str) -> tuple[str, ...]:
    """Return ``count`` frames of a video, evenly from the first to the last; all where there are fewer.

    Args:
        root: Folder of the data set.
        folder: Folder of the video's frames, whose names sort in the order of time.
        count: Frames to show.
        layout: What to download, for the message.

    Raises:
        DataError: If there is no frame; the message says how to make them.
    """
    if not (root / folder).is_dir():
        raise DataError(
            f"{root} lacks the folder {folder} with the frames of a video. Extract them, e.g. `{EXTRACT}`. "
            f"Expected layout: {layout}"
        )
    frames = list_pictures(root, folder, layout)
    if not frames:
        raise DataError(f"{root / folder} holds no frame. Extract them, e.g. `{EXTRACT}`. Expected layout: {layout}")
    return tuple(frames[place] for place in even_places(len(frames), count))


def even_places(total: int, count: int) -> list[int]:
    """Return ``count`` places from 0 to ``total - 1``, evenly and cut to whole numbers; all where there are fewer.

    Source:
        ``np.linspace(0, total - 1, count, dtype=int)`` of the published loaders, which rounds below some whole numbers
        and then takes the frame before; one frame is the middle one.
    """
    if total <= count:
        return list(range(total))
    if count == 1:
        return [total // 2]
    return [place * (total - 1) // (count - 1) for place in range(count)]


def check_count(frames: int) -> int:
    """Return the number of frames to show.

    Raises:
        ConfigError: If it is no whole number above 0.
    """
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise ConfigError(f"frames is {frames!r}; give a whole number above 0.")
    return frames
