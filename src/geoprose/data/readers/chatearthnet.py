"""ChatEarthNet: long descriptions of Sentinel-2 pictures, written by GPT-3.5 or GPT-4V from land cover maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from geoprose.core.errors import ConfigError
from geoprose.data.readers.base import check_split
from geoprose.data.readers.files import first_present, inside, join, read_entries
from geoprose.data.readers.picture import Picture
from geoprose.data.records import fail, strings, text
from geoprose.data.scene_captions import CAPTION_QUESTION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import JsonValue, Sample

IMAGE_FOLDERS = ("s2_rgb_images/s2_images", "s2_rgb_images", "s2_images")
"""Where the archive of RGB pictures unpacks to, by the tool used."""


class ChatEarthNetReader:
    """Reads captions of the RGB pictures.

    Args:
        writer: ``35`` for the 163,488 captions of GPT-3.5, ``4v`` for the 10,000 of GPT-4V.

    Source: Yuan et al., "ChatEarthNet: a global-scale image-text dataset", Earth System Science Data, 2025.
    """

    layout = (
        "ChatEarthNet from https://doi.org/10.5281/zenodo.11003436: json_files/ChatEarthNet_caps_35_<split>.json (or "
        "_4v_) and s2_rgb_images/ unpacked beside it; 98,092, 16,348 and 49,048 captions of GPT-3.5."
    )
    splits = ("train", "val", "test")

    def __init__(self, *, writer: Literal["35", "4v"] = "35") -> None:
        if writer not in ("35", "4v"):
            raise ConfigError(f"writer is {writer!r}; choose 35 or 4v.")
        self.writer = writer

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield one question per picture."""
        check_split(split, self.splits, self.layout)
        name = f"json_files/ChatEarthNet_caps_{self.writer}_{split}.json"
        entries = read_entries(root, name, self.layout)
        folder = first_present(root, IMAGE_FOLDERS, self.layout)
        facts: dict[str, JsonValue] = {"domain": "ChatEarthNet", "gsd_m": 10.0}
        for number, entry in enumerate(entries):
            where = f"{name}, entry {number}"
            image = inside(entry.get("image", entry.get("image_id", entry.get("image_name"))), where, "image")
            written = entry.get("caption")
            parts = (
                strings(written, where, "caption") if isinstance(written, list) else [text(written, where, "caption")]
            )
            caption = " ".join(parts)
            if not caption.strip():
                fail(where, "has an empty caption")
            picture = Picture(f"{number}-{image}", (join(folder, image),), split, facts)
            yield picture.ask("caption", CAPTION_QUESTION, [" ".join(caption.split())])
