"""Data sets whose objects lie in Pascal VOC XML files, one per picture: DIOR and DIOR-RSVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.files import inside, join, read_list, read_xml, xml_text
from geoprose.data.readers.object_reader import ObjectQuestion, ObjectReader
from geoprose.data.readers.objects import ObjectPicture, Thing, size_group, spell
from geoprose.data.readers.picture import Picture, json_list
from geoprose.data.readers.pictures import PictureFinder
from geoprose.data.records import fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from geoprose.core.types import Sample

_CORNERS = ("left_top", "right_top", "right_bottom", "left_bottom")
_ORIENTED_TAGS = tuple(f"{axis}_{corner}" for corner in _CORNERS for axis in "xy")
_UPRIGHT_TAGS = ("xmin", "ymin", "xmax", "ymax")


class DiorReader(ObjectReader):
    """Reads DIOR, with horizontal boxes or, with ``is_oriented``, DIOR-R.

    Args:
        what: Kind of question; see ObjectReader.
        is_oriented: Whether to read the oriented boxes.
        absent: Classes asked for that are not in a picture.
        classes: Further classes that may be asked about.
        per_picture: Questions of POPE per picture and answer.

    Source: Li et al., "Object detection in optical remote sensing images: A survey and a new benchmark", ISPRS 2020;
    Cheng et al., "Anchor-free Oriented Proposal Generator for Object Detection", TGRS 2022 (DIOR-R).
    """

    layout = (
        "DIOR from https://gcheng-nwpu.github.io/#Datasets: JPEGImages-trainval/, JPEGImages-test/, "
        "Annotations/Horizontal Bounding Boxes/*.xml (DIOR-R: Annotations/Oriented Bounding Boxes/*.xml) and "
        "ImageSets/Main/{train,val,test}.txt; 11,725 pictures of 800 x 800 px to train and validate, 11,738 to test."
    )

    def __init__(
        self,
        *,
        what: ObjectQuestion = "detection",
        is_oriented: bool = False,
        absent: int = 0,
        classes: Sequence[str] = (),
        per_picture: int = 3,
    ) -> None:
        super().__init__(what=what, absent=absent, classes=classes, per_picture=per_picture)
        self.is_oriented = is_oriented

    def pictures(self, root: Path, split: str) -> Iterator[ObjectPicture]:
        """Yield the pictures in the order of the split's list."""
        kind = "Oriented" if self.is_oriented else "Horizontal"
        folder = f"Annotations/{kind} Bounding Boxes"
        finder = PictureFinder(root, f"JPEGImages-{'test' if split == 'test' else 'trainval'}", self.layout)
        for name in read_list(root, f"ImageSets/Main/{split}.txt", self.layout):
            path = root / folder / f"{inside(name, split)}.xml"
            if not path.is_file():
                fail_missing(root, join(folder, path.name), self.layout)
            element = read_xml(path)
            things = tuple(_thing(child, path.name, self.is_oriented) for child in element.findall("object"))
            picture = Picture(name, (finder.find(name),), split, {"domain": "DIOR"})
            yield ObjectPicture(picture, things, _size(element, path.name))


class DiorRsvgReader:
    """Reads DIOR-RSVG: one referring expression and one box per question.

    The split files hold places in one running list of all objects, over the XML files **sorted by name**; a reader that
    walks the folder in another order asks about other objects and reports another score.

    Source: Zhan et al., "RSVG: Exploring Data and Models for Visual Grounding on Remote Sensing Data", TGRS 2023;
    reference code ZhanYang-nwpu/RSVG-pytorch, data_loader.py (which walks the folder in the system's order).
    """

    layout = (
        "DIOR-RSVG from the link in https://github.com/ZhanYang-nwpu/RSVG-pytorch: JPEGImages/*.jpg, Annotations/*.xml "
        "and train.txt, val.txt, test.txt with 26,991, 3,829 and 7,500 object numbers."
    )
    splits = ("train", "val", "test")

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield one question per object of the split, in the order of the files."""
        check_split(split, self.splits, self.layout)
        wanted = self._numbers(root, split)
        files = sorted((root / "Annotations").glob("*.xml"), key=lambda path: path.name)
        if not files:
            fail_missing(root, "Annotations/*.xml", self.layout)
        number = 0
        for file in files:
            element = read_xml(file)
            for child in element.findall("object"):
                if number in wanted:
                    yield self._sample(element, child, number, split)
                number += 1
        if wanted and max(wanted) >= number:
            fail(f"{split}.txt", f"names object {max(wanted)}, but the XML files hold {number}; unpack all of them")

    def _numbers(self, root: Path, split: str) -> set[int]:
        lines = read_list(root, f"{split}.txt", self.layout)
        broken = [line for line in lines if not line.isdigit()]
        if broken:
            fail(f"{split}.txt", f"holds {broken[0]!r}, which is not the number of an object")
        return {int(line) for line in lines}

    def _sample(self, element: Element, child: Element, number: int, split: str) -> Sample:
        name = inside(xml_text(element, "filename", f"object {number}"), f"object {number}")
        thing = _thing(child, name, is_oriented=False)
        size = _size(element, name)
        phrase = xml_text(child, "description", name)
        picture = Picture(name.rsplit(".", 1)[0], (join("JPEGImages", name),), split, {"domain": "DIOR-RSVG"})
        return picture.ask(
            "grounding",
            phrase,
            [spell([thing], size)],
            str(number),
            boxes=[json_list(thing.corners)],
            box_labels=[thing.label],
            phrase=phrase,
            size_px=json_list(size),
            size_group=size_group(thing.corners),
        )


def _thing(child: Element, where: str, is_oriented: bool) -> Thing:
    box = child.find("robndbox" if is_oriented else "bndbox")
    if box is None:
        fail(where, f"has an object without <{'robndbox' if is_oriented else 'bndbox'}>")
    tags = _ORIENTED_TAGS if is_oriented else _UPRIGHT_TAGS
    try:
        corners = tuple(float(xml_text(box, tag, where)) for tag in tags)
    except ValueError:
        fail(where, "has a box whose coordinates are not numbers")
    return Thing(corners, xml_text(child, "name", where), (child.findtext("difficult") or "0").strip() == "1")


def _size(element: Element, where: str) -> tuple[int, int]:
    size = element.find("size")
    if size is None:
        fail(where, "lacks <size>")
    try:
        return int(xml_text(size, "width", where)), int(xml_text(size, "height", where))
    except ValueError:
        fail(where, "has a <size> that is not two whole numbers")
