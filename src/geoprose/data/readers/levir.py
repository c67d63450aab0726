"""Pairs of dates: LEVIR-CC (sentences about the change), LEVIR-CD and others of its layout (masks of the change)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.files import inside, join, read_entries, read_list
from geoprose.data.readers.masks import mask_values
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.pictures import list_pictures
from geoprose.data.records import fail, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

CAPTION_QUESTION = "Describe the changes between the two images."
CHANGE_QUESTION = "Has anything changed between the two images?"
MASK_QUESTION = "Mark what has changed between the two images."


class LevirCcReader:
    """Reads pairs with five sentences each.

    Source: Liu et al., "Remote Sensing Image Change Captioning With Dual-Branch Transformers", TGRS 2022;
    reference code Chen-Yang-Liu/RSICC, utils.py. ``changeflag`` is 1 where something changed.
    """

    layout = (
        "LEVIR-CC from https://github.com/Chen-Yang-Liu/RSICC: LevirCCcaptions.json and images/<split>/A/, "
        "images/<split>/B/; 6,815, 1,333 and 1,929 pairs."
    )
    splits = ("train", "val", "test")

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield one question per pair."""
        check_split(split, self.splits, self.layout)
        name = "LevirCCcaptions.json"
        for number, entry in enumerate(read_entries(root, name, self.layout, "images")):
            if entry.get("split", entry.get("filepath")) != split:
                continue
            where = f"{name}, image {number}"
            file = inside(entry.get("filename"), where)
            sentences = [
                mapping(value, where, "sentence") for value in items(entry.get("sentences"), where, "sentences")
            ]
            captions = [" ".join(text(value.get("raw"), where, "raw").split()) for value in sentences]
            if not any(captions):
                fail(where, "has no sentence")
            flag = entry.get("changeflag")
            images = tuple(join("images", split, date, file) for date in "AB")
            picture = Picture(file.rsplit(".", 1)[0], images, split, {"domain": "LEVIR-CC", "gsd_m": 0.5})
            is_changed = bool(flag) if flag in (0, 1) else None
            yield picture.ask("change_caption", CAPTION_QUESTION, [c for c in captions if c], is_changed=is_changed)


class ChangePairsReader:
    """Reads ``A/``, ``B/`` and ``label/``, per split or with lists of names.

    The mask of every pair is read to say whether anything changed in it.

    Args:
        what: ``mask``, to be answered with a map of change, or ``yes_no``, whether there is any.
        domain: Name of the data set, for tables across data sets.

    Source: Chen and Shi, "A Spatial-Temporal Attention-Based Method and a New Dataset for Remote Sensing Image Change
    Detection", Remote Sensing 2020; list/ as in wgcban/ChangeFormer.
    """

    layout = (
        "LEVIR-CD from https://justchenhao.github.io/LEVIR: <split>/A, <split>/B and <split>/label with equal names, "
        "or A, B, label and list/<split>.txt. 445, 64 and 128 pairs of 1024 x 1024 px."
    )
    splits = ("train", "val", "test")

    def __init__(self, *, what: Literal["mask", "yes_no"] = "mask", domain: str = "LEVIR-CD") -> None:
        if what not in ("mask", "yes_no"):
            raise ConfigError(f"what is {what!r}; choose mask or yes_no.")
        self.what, self.domain = what, domain

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield one question per pair, by name."""
        check_split(split, self.splits, self.layout)
        base = split if (root / split).is_dir() else ""
        if base:
            names = [path.rsplit("/", 1)[-1] for path in list_pictures(root, join(base, "A"), self.layout)]
        else:
            listed = read_list(root, f"list/{split}.txt", self.layout)
            names = [inside(name, f"list/{split}.txt") for name in listed]
        for name in names:
            paths = [join(base, folder, name) for folder in ("A", "B", "label")]
            for path in paths:
                if not (root / path).is_file():
                    fail_missing(root, path, self.layout)
            is_changed = any(value != 0 for value in mask_values(root / paths[2]))
            picture = Picture(name.rsplit(".", 1)[0], (paths[0], paths[1]), split, {"domain": self.domain})
            yield change_sample(picture, self.what, paths[2], is_changed)


def change_sample(picture: Picture, what: str, mask: str, is_changed: bool) -> Sample:
    """Return the question about a pair: a map of the change, or whether there is any."""
    if len(picture.images) != 2:
        raise DataError(f"{picture.id} has {len(picture.images)} pictures; a change needs two.")
    answer = "yes" if is_changed else "no"
    if what == "mask":
        return picture.ask("change", MASK_QUESTION, [answer], "mask", mask=mask, is_changed=is_changed)
    return picture.ask("change_yes_no", CHANGE_QUESTION, [answer], "any", is_changed=is_changed)
