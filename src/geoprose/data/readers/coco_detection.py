"""Detection annotations in the JSON format of COCO, as xView and many other sets are passed on."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from geoprose.data.readers.files import inside, join, read_json
from geoprose.data.readers.object_reader import ObjectQuestion, ObjectReader
from geoprose.data.readers.objects import ObjectPicture, Thing
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.pictures import picture_size
from geoprose.data.records import fail, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class CocoDetectionReader(ObjectReader):
    """Reads ``images``, ``categories`` and ``annotations`` with ``bbox`` as left, top, width and height.

    Args:
        what: Kind of question; see ObjectReader.
        annotations: Annotation file of a split; ``{split}`` is filled in.
        images: Folder of the pictures; ``{split}`` is filled in.
        absent: Classes asked for that are not in a picture.
        classes: Further classes that may be asked about.
        per_picture: Questions of POPE per picture and answer.

    Source: Lin et al., "Microsoft COCO", ECCV 2014, data format; Lam et al., "xView", 2018.
    """

    layout = (
        "annotations/instances_<split>.json in the COCO format and the pictures in images/ (other names: options "
        "annotations and images). xView: https://xviewdataset.org, converted to COCO and cut into tiles."
    )

    def __init__(
        self,
        *,
        what: ObjectQuestion = "detection",
        annotations: str = "annotations/instances_{split}.json",
        images: str = "images",
        absent: int = 0,
        classes: Sequence[str] = (),
        per_picture: int = 3,
    ) -> None:
        super().__init__(what=what, absent=absent, classes=classes, per_picture=per_picture)
        self.annotations, self.images = annotations, images

    def pictures(self, root: Path, split: str) -> Iterator[ObjectPicture]:
        """Yield the pictures in the order of the file; crowds count as difficult."""
        name = self.annotations.format(split=split)
        document = mapping(read_json(root, name, self.layout), name, "the document")
        names = {row["id"]: text(row["name"], name, "category") for row in _rows(document, "categories", name)}
        things: dict[Any, list[Thing]] = defaultdict(list)
        for row in _rows(document, "annotations", name):
            things[row["image_id"]].append(_thing(row, names, name))
        folder = self.images.format(split=split)
        known = set()
        for row in _rows(document, "images", name):
            known.add(row["id"])
            path = join(folder, inside(row.get("file_name"), name))
            given = row.get("width"), row.get("height")
            size = given if isinstance(given[0], int) and isinstance(given[1], int) else picture_size(root / path)
            picture = Picture(str(row["id"]), (path,), split, {"domain": root.name})
            yield ObjectPicture(picture, tuple(things[row["id"]]), (int(size[0] or 0), int(size[1] or 0)))
        if strays := set(things) - known:
            fail(
                name,
                f"has annotations of {len(strays)} pictures that it does not list, e.g. {sorted(strays, key=str)[0]}",
            )


def _thing(row: dict[str, Any], names: dict[Any, str], where: str) -> Thing:
    numbers = items(row.get("bbox"), where, "bbox")
    if len(numbers) != 4 or not all(isinstance(number, int | float) for number in numbers):
        fail(where, f"annotation {row.get('id')} has no bbox of four numbers")
    if row.get("category_id") not in names:
        fail(where, f"annotation {row.get('id')} has category {row.get('category_id')}, which is not listed")
    left, top, width, height = (float(number) for number in numbers)
    is_difficult = bool(row.get("iscrowd") or row.get("difficult"))
    return Thing((left, top, left + width, top + height), names[row["category_id"]], is_difficult)


def _rows(document: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    rows = [mapping(row, where, key) for row in items(document.get(key), where, key)]
    needed = {"images": ("id",), "categories": ("id", "name"), "annotations": ("image_id",)}[key]
    for row in rows:
        if missing := [name for name in needed if name not in row]:
            fail(where, f"an entry of {key} lacks {', '.join(missing)}")
    return rows
