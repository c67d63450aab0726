"""DOTA: oriented boxes as text files, one per picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.readers.base import fail_missing
from geoprose.data.readers.files import first_present, join, read_list
from geoprose.data.readers.object_reader import ObjectReader
from geoprose.data.readers.objects import ObjectPicture, Thing
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.pictures import PictureFinder, picture_size
from geoprose.data.records import fail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import JsonValue

LABEL_FOLDERS = ("labelTxt", "labelTxt-v1.0/labelTxt", "labelTxt-v1.5/DOTA-v1.5_{split}", "annfiles")
"""Where the label files lie below a split: version 1.0 unpacked, as downloaded, version 1.5, and the split tiles of
mmrotate."""


class DotaReader(ObjectReader):
    """Reads ``<split>/images`` and ``<split>/labelTxt``.

    A label file starts with ``imagesource:...`` and ``gsd:...``; each further line has the eight coordinates, the
    class, and 1 for a difficult object. The pictures are large; tiles that a toolkit cut keep the layout.

    Source: Xia et al., "DOTA: A Large-scale Dataset for Object Detection in Aerial Images", CVPR 2018, and the DOTA
    development kit.
    """

    layout = (
        "DOTA from https://captain-whu.github.io/DOTA/dataset.html: <split>/images/P0003.png and "
        "<split>/labelTxt/P0003.txt for the splits train and val (the test split has no public labels)."
    )
    splits = ("train", "val")

    def pictures(self, root: Path, split: str) -> Iterator[ObjectPicture]:
        """Yield the pictures that have a label file, by name."""
        folders = [join(split, folder.format(split=split)) for folder in LABEL_FOLDERS]
        labels = first_present(root, folders, self.layout)
        finder = PictureFinder(root, join(split, "images"), self.layout)
        files = sorted((root / labels).glob("*.txt"))
        if not files:
            fail_missing(root, f"the label files {labels}/*.txt", self.layout)
        for file in files:
            image = finder.find(file.stem)
            facts, things = _read_labels(root, join(labels, file.name), self.layout)
            picture = Picture(file.stem, (image,), split, {"domain": "DOTA", **facts})
            yield ObjectPicture(picture, things, picture_size(root / image))


def _read_labels(root: Path, name: str, layout: str) -> tuple[dict[str, JsonValue], tuple[Thing, ...]]:
    facts: dict[str, JsonValue] = {}
    things = []
    for number, line in enumerate(read_list(root, name, layout), start=1):
        if line.startswith(("imagesource:", "gsd:")):
            key, _, value = line.partition(":")
            if key == "imagesource":
                facts["source"] = value.strip()
            elif _is_number(value):
                facts["gsd_m"] = float(value)
            continue
        parts = line.split()
        if len(parts) < 9 or not all(_is_number(part) for part in parts[:8]):
            fail(f"{name}, line {number}", "is not x1 y1 x2 y2 x3 y3 x4 y4 class difficult")
        corners = tuple(float(part) for part in parts[:8])
        things.append(Thing(corners, parts[8], is_difficult=parts[9:10] == ["1"]))
    return facts, tuple(things)


def _is_number(value: str) -> bool:
    try:
        return abs(float(value)) < float("inf")
    except ValueError:
        return False
