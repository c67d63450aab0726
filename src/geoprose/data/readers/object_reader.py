"""Base of the readers whose data set gives labelled boxes: one option says what is asked about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from geoprose.core.errors import ConfigError
from geoprose.data.readers import objects, pope
from geoprose.data.readers.base import check_split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.data.readers.objects import ObjectPicture

ObjectQuestion = Literal["detection", "grounding", "multi_target", "count", "pope", "chair", "false_premise"]
_BY_PICTURE = {"grounding": objects.grounding, "multi_target": objects.multi_target, "chair": objects.chair}


class ObjectReader(ABC):
    """Asks about the labelled boxes of pictures.

    Args:
        what: Kind of question: every object of a class, one object, all objects of a class, how many, whether (POPE
            with random, popular and adversarial negatives), a description (CHAIR), or the place of something that may
            not be there.
        absent: Classes that are not in a picture and are asked for all the same, in detection and counting.
        classes: Classes that may be asked about though no picture of the split shows them.
        per_picture: Questions about present objects of a picture in each round of POPE, at most.
    """

    layout: str
    splits: tuple[str, ...] = ("train", "val", "test")
    class_names: ClassVar[tuple[str, ...]] = ()
    """Published classes; empty where the annotations name them."""

    def __init__(
        self,
        *,
        what: ObjectQuestion = "detection",
        absent: int = 0,
        classes: Sequence[str] = (),
        per_picture: int = 3,
    ) -> None:
        if what not in get_args(ObjectQuestion):
            raise ConfigError(f"what is {what!r}; choose one of {', '.join(get_args(ObjectQuestion))}.")
        self.what, self.absent, self.per_picture = what, absent, per_picture
        self.classes = (*self.class_names, *classes)

    @abstractmethod
    def pictures(self, root: Path, split: str) -> Iterator[ObjectPicture]:
        """Yield the pictures of a split with their objects, in a fixed order."""

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions about the pictures of a split."""
        check_split(split, self.splits, self.layout)
        yield from object_questions(self, list(self.pictures(root, split)))


def object_questions(reader: ObjectReader, entries: Sequence[ObjectPicture]) -> Iterator[Sample]:
    """Yield the questions that a reader's options ask about pictures."""
    present = [entry.classes() for entry in entries]
    occurrence = pope.Occurrence.count(present, reader.classes)
    for entry, names in zip(entries, present, strict=True):
        if reader.what in _BY_PICTURE:
            yield from _BY_PICTURE[reader.what](entry)
        elif reader.what == "detection":
            yield from objects.detection(entry, occurrence.objects, reader.absent)
        elif reader.what == "count":
            yield from objects.counting(entry, occurrence.objects, reader.absent)
        elif reader.what == "false_premise":
            yield from pope.false_premise(entry, occurrence)
        else:
            sizes = pope.largest_sizes(entry)
            yield from pope.pope(entry.picture, names, occurrence, reader.per_picture, sizes)
