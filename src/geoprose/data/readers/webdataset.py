"""RS5M: pictures and captions in tar shards of the WebDataset layout."""

from __future__ import annotations

import re
import tarfile
from typing import TYPE_CHECKING, Final

from geoprose.core.errors import DataError
from geoprose.core.files import write_bytes
from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.files import join
from geoprose.data.readers.picture import Picture
from geoprose.data.records import fail
from geoprose.data.scene_captions import CAPTION_QUESTION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

MAX_PICTURE_BYTES: Final = 50_000_000
MAX_TEXT_BYTES: Final = 100_000
MAX_MEMBERS: Final = 5_000_000

_KEY = re.compile(r"[\w.-]{1,200}")
_SIGNATURES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG\r\n\x1a\n": ".png",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"RIFF": ".webp",
}
PARTS = ("img_content", "img_name", "caption")
"""Endings of the three files of a sample."""


class Rs5mReader:
    """Reads ``<key>.img_content``, ``<key>.img_name`` and ``<key>.caption`` of each shard.

    A picture inside a tar file has no path, so it is unpacked once to ``unpacked/<shard>/`` beside the shards. Nothing
    else is taken from a shard: no link, no folder, no name, no owner. Sizes are checked before a byte is read.

    Args:
        shards: Pattern of the shards' names.
        unpacked: Folder below the data folder where the pictures are put.
        max_samples: Stop after so many samples; 0 reads all 5 million.

    Source: Zhang et al., "RS5M and GeoRSCLIP", TGRS 2024; om-ai-lab/RS5M, dataloader.py.
    """

    layout = (
        "RS5M from https://github.com/om-ai-lab/RS5M: pub11-train-0000.tar to pub11-train-0031.tar and "
        "rs3-train-0000.tar to rs3-train-0031.tar (or in train/)."
    )
    splits = ("train",)

    def __init__(self, *, shards: str = "*-train-*.tar", unpacked: str = "unpacked", max_samples: int = 0) -> None:
        self.shards, self.unpacked, self.max_samples = shards, unpacked, max_samples

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield one caption question per sample, shard by shard."""
        check_split(split, self.splits, self.layout)
        files = sorted([*root.glob(self.shards), *(root / split).glob(self.shards)])
        if not files:
            fail_missing(root, self.shards, self.layout)
        done = 0
        for file in files:
            for key, parts in read_shard(file):
                if self.max_samples and done >= self.max_samples:
                    return
                yield self._sample(root, file.stem, key, parts)
                done += 1

    def _sample(self, root: Path, shard: str, key: str, parts: dict[str, bytes]) -> Sample:
        where = f"{shard}.tar, sample {key}"
        content = parts["img_content"]
        suffix = next((ending for start, ending in _SIGNATURES.items() if content.startswith(start)), "")
        caption = " ".join(_decode(parts["caption"], where).split())
        if not suffix:
            fail(where, "is not a JPEG, PNG, TIFF or WebP picture")
        if not caption:
            fail(where, "has an empty caption")
        image = join(self.unpacked, shard, f"{key}{suffix}")
        if not (root / image).is_file():
            try:
                write_bytes(root / image, content)
            except OSError as error:
                raise DataError(f"{root / image} cannot be written: {error.strerror}. Copy the shards to a folder that "
                                "can be written.") from error  # fmt: skip
        meta = {"domain": "RS5M", "name": _decode(parts["img_name"], where).strip()}
        picture = Picture(f"{shard}-{key}", (image,), "train", meta)
        return picture.ask("caption", CAPTION_QUESTION, [caption])


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield key and parts of each sample of a shard; the parts of a sample lie next to each other.

    Raises:
        DataError: If it is not a tar file, a member is too large, a key is odd, or a sample lacks a part.
    """
    parts: dict[str, bytes] = {}
    current, seen = "", 0
    try:
        with tarfile.open(path, mode="r|") as archive:  # a stream: no member can send the reader elsewhere
            for member in archive:
                seen += 1
                if seen > MAX_MEMBERS:
                    raise DataError(f"{path} has more than {MAX_MEMBERS} members.")
                key, _, part = member.name.removeprefix("./").rpartition(".")
                if not member.isfile() or part not in PARTS:
                    continue
                if key != current:
                    if current:
                        yield current, _whole(parts, path, current)
                    current, parts = _checked(key, path), {}
                parts[part] = _content(archive, member, path)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} is not a whole tar file: {error}. Download the shard again.") from error
    if current:
        yield current, _whole(parts, path, current)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    limit = MAX_PICTURE_BYTES if member.name.endswith(".img_content") else MAX_TEXT_BYTES
    if member.size > limit:
        raise DataError(f"{path}: {member.name} has {member.size} bytes, more than {limit}, so it is not read.")
    handle = archive.extractfile(member)
    return b"" if handle is None else handle.read()


def _checked(key: str, path: Path) -> str:
    if not _KEY.fullmatch(key) or key.startswith("."):
        raise DataError(f"{path} has a sample called {key!r}; keys are letters, digits, points and dashes.")
    return key


def _whole(parts: dict[str, bytes], path: Path, key: str) -> dict[str, bytes]:
    if missing := [part for part in PARTS if part not in parts]:
        raise DataError(f"{path}: sample {key} lacks {', '.join(missing)}. Download the shard again.")
    return parts


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        fail(where, "holds text that is not UTF-8")
