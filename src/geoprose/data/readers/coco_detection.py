"""Detection annotations in the JSON format of COCO, as xView and many other sets are passed on."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from geoprose.data.readers.files import identifier, inside, join, numbers, pixels, read_json
from geoprose.data.readers.object_reader import ObjectQuestion, ObjectReader
from geoprose.data.readers.objects import ObjectPicture, Thing
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.pictures import picture_size
from geoprose.data.records import fail, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
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
        categories = _rows(document, "categories", name)
        names = {identifier(row.get("id"), name): text(row.get("name"), name, "category") for row in categories}
        things: dict[int | str, list[Thing]] = defaultdict(list)
        for row in _rows(document, "annotations", name):
            things[identifier(row.get("image_id"), name, "image_id")].append(_thing(row, names, name))
        folder = self.images.format(split=split)
        known = set()
        for row in _rows(document, "images", name):
            image_id = identifier(row.get("id"), name)
            known.add(image_id)
            path = join(folder, inside(row.get("file_name"), name))
            size = pixels(row.get("width"), row.get("height")) or picture_size(root / path)
            picture = Picture(str(image_id), (path,), split, {"domain": root.name})
            yield ObjectPicture(picture, tuple(things.get(image_id, ())), size)
        if strays := set(things) - known:
            fail(
                name,
                f"has annotations of {len(strays)} pictures that it does not list, e.g. {sorted(strays, key=str)[0]}",
            )


def _thing(row: dict[str, Any], names: Mapping[int | str, str], where: str) -> Thing:
    box = numbers(row.get("bbox"), where, "bbox")
    if len(box) != 4:
        fail(where, f"annotation {row.get('id')} has no bbox of four numbers: left, top, width and height")
    category = identifier(row.get("category_id"), where, "category_id")
    if category not in names:
        fail(where, f"annotation {row.get('id')} has category {category}, which is not listed")
    left, top, width, height = box
    is_difficult = bool(row.get("iscrowd") or row.get("difficult"))
    return Thing((left, top, left + width, top + height), names[category], is_difficult)


def _rows(document: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    return [mapping(row, where, key) for row in items(document.get(key), where, key)]
