"""The plain layout: a folder with pictures and ``annotations.jsonl``, one object per picture.

``file`` and, where there are any, ``label``, ``captions``, ``qa``, ``boxes``, ``file_b``, ``mask``,
``changed_fraction``, ``split``, ``width``, ``height``, ``gsd``. It is what to bring your own pictures in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from geoprose.core.errors import ConfigError
from geoprose.data.readers import pope
from geoprose.data.readers.files import inside, numbers, pixels, read_jsonl
from geoprose.data.readers.levir import change_sample
from geoprose.data.readers.masks import mask_values
from geoprose.data.readers.object_reader import ObjectQuestion, ObjectReader, object_questions
from geoprose.data.readers.objects import ObjectPicture, Thing
from geoprose.data.readers.picture import Picture, json_list, spellings
from geoprose.data.readers.pictures import picture_size
from geoprose.data.readers.retrieval import retrieval_samples
from geoprose.data.records import fail, items, mapping, strings, text
from geoprose.data.scene_captions import ANNOTATIONS, CAPTION_QUESTION, SCENE_QUESTION, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import JsonValue, Sample

What = Literal["scene", "caption", "retrieval", "qa", "mask", "yes_no", "label_pope"] | ObjectQuestion
KINDS = ("scene", "caption", "retrieval", "qa", "mask", "yes_no", "label_pope", *get_args(ObjectQuestion))
"""What can be asked: about labels, captions, questions, pairs of dates, or objects (as ObjectReader says)."""


@dataclass(frozen=True)
class _Row:
    where: str
    picture: Picture
    content: Mapping[str, Any]


class AnnotationsReader(ObjectReader):
    """Reads ``annotations.jsonl``.

    Args:
        what: What is asked; one of KINDS. ``label_pope`` asks about the picture's label as POPE asks about objects.
        split_names: What the file's splits are called here; without more, pictures without a split are ``test``.
        absent: Classes asked for that are not in a picture, in detection and counting.
        classes: Further classes that may be asked about.
        per_picture: Questions of POPE per picture and answer.
        label_names: What the classes of boxes are called here, where the published word alone says too little.
    """

    layout = (
        "annotations.jsonl, one object per picture with file (relative path) and label, captions, qa, boxes, "
        "file_b, mask, split, width and height where known; see docs/reference/data-sets.md."
    )

    def __init__(
        self,
        *,
        what: What = "scene",
        split_names: Mapping[str, str] | None = None,
        absent: int = 0,
        classes: Sequence[str] = (),
        per_picture: int = 3,
        label_names: Mapping[str, str] | None = None,
    ) -> None:
        if what not in KINDS:
            raise ConfigError(f"what is {what!r}; choose one of {', '.join(KINDS)}.")
        known: ObjectQuestion = what if what in get_args(ObjectQuestion) else "detection"  # type: ignore[assignment]
        super().__init__(what=known, absent=absent, classes=classes, per_picture=per_picture)
        self.asked: str = what
        self.label_names = dict(label_names or {})
        self.split_names = {"": "test", **(split_names or {})}

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions about the pictures of a split, in the order of the file."""
        rows = list(self._rows(root))
        wanted = [row for row in rows if row.picture.split == split]
        if self.asked in get_args(ObjectQuestion):
            yield from object_questions(self, [entry for row in wanted for entry in self._objects(row, root)])
        elif self.asked == "scene":
            yield from _scenes(wanted, _labels(rows))
        elif self.asked == "label_pope":
            yield from self._label_pope(wanted, _labels(rows))
        elif self.asked == "retrieval":
            yield from retrieval_samples([(row.picture, captions) for row in wanted if (captions := _captions(row))])
        else:
            for row in wanted:
                yield from self._about(row, root)

    def pictures(self, root: Path, split: str) -> Iterator[ObjectPicture]:
        """Yield the pictures of a split that have boxes."""
        for row in self._rows(root):
            if row.picture.split == split:
                yield from self._objects(row, root)

    def _objects(self, row: _Row, root: Path) -> Iterator[ObjectPicture]:
        boxes = items(row.content.get("boxes") or [], row.where, "boxes")
        if not boxes:
            return
        known = pixels(row.content.get("width"), row.content.get("height"))
        things = [_thing(mapping(box, row.where, "box"), row.where) for box in boxes]
        renamed = tuple(replace(thing, label=self.label_names.get(thing.label, thing.label)) for thing in things)
        yield ObjectPicture(row.picture, renamed, known or picture_size(root / row.picture.images[0]))

    def _rows(self, root: Path) -> Iterator[_Row]:
        for where, content in read_jsonl(root, ANNOTATIONS, self.layout):
            file = inside(content.get("file"), where, "file")
            split = str(content.get("split") or "")
            yield _Row(
                where, Picture(file, (file,), self.split_names.get(split, split), _facts(content, root)), content
            )

    def _about(self, row: _Row, root: Path) -> Iterator[Sample]:
        if self.asked == "caption":
            if captions := _captions(row):
                yield row.picture.ask("caption", CAPTION_QUESTION, captions, "caption")
        elif self.asked == "qa":
            yield from _questions(row)
        else:
            yield from _change(row, root, self.asked)

    def _label_pope(self, rows: Sequence[_Row], labels: Sequence[str]) -> Iterator[Sample]:
        named = [(row, str(row.content["label"])) for row in rows if row.content.get("label")]
        occurrence = pope.Occurrence.count([[label] for _, label in named], [*labels, *self.classes])
        for row, label in named:
            yield from pope.pope(row.picture, [label], occurrence, self.per_picture)


def _facts(content: Mapping[str, Any], root: Path) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = {"domain": root.name}
    size = pixels(content.get("width"), content.get("height"))
    if size:
        facts["size_px"] = json_list(size)
    gsd = content.get("gsd", content.get("res"))
    metres = re.fullmatch(r"(\d*\.?\d+)m?", str(gsd))
    if metres:
        facts["gsd_m"] = float(metres.group(1))
    return facts


def _labels(rows: Sequence[_Row]) -> list[str]:
    return sorted({str(row.content["label"]) for row in rows if row.content.get("label")})


def _captions(row: _Row) -> list[str]:
    written = strings(row.content.get("captions") or [], row.where, "captions")
    return [" ".join(caption.split()) for caption in written if caption.strip()]


def _scenes(rows: Sequence[_Row], labels: Sequence[str]) -> Iterator[Sample]:
    options = json_list([words_of(label) for label in labels])
    for row in rows:
        if label := row.content.get("label"):
            words = words_of(str(label))
            yield row.picture.ask("scene", SCENE_QUESTION, spellings(words, str(label)), "scene", options=options)


def _questions(row: _Row) -> Iterator[Sample]:
    for number, value in enumerate(items(row.content.get("qa") or [], row.where, "qa")):
        entry = mapping(value, row.where, f"qa[{number}]")
        asked, kind = (text(entry.get(key), row.where, key) for key in ("question", "type"))
        answer = text(entry.get("answer"), row.where, "answer")
        if not answer.strip():
            fail(row.where, f"qa[{number}] has an empty answer")
        count = int(answer) if kind == "count" and answer.isdigit() else None
        yield row.picture.ask(kind, asked, [answer], f"q{number}", count=count)


def _thing(box: Mapping[str, Any], where: str) -> Thing:
    outline = numbers(box.get("poly") or [], where, "poly")
    # Why not any outline: a reference box has four corners; one with more is asked about by its upright box.
    corners = outline if len(outline) == 8 else numbers(box.get("bbox"), where, "bbox")
    if len(corners) not in (4, 8):
        fail(where, "a box has neither bbox with four numbers nor poly with eight")
    return Thing(corners, text(box.get("label"), where, "label"), bool(box.get("difficult")))


def _change(row: _Row, root: Path, what: str) -> Iterator[Sample]:
    if not row.content.get("file_b"):
        return
    second = inside(row.content["file_b"], row.where, "file_b")
    mask = inside(row.content.get("mask"), row.where, "mask")
    share = row.content.get("changed_fraction")
    is_changed = share > 0 if isinstance(share, int | float) else any(mask_values(root / mask))
    first = row.picture
    pair = Picture(first.id, (*first.images, second), first.split, first.meta)
    yield change_sample(pair, what, mask, is_changed)
