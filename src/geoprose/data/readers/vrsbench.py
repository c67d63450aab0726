"""VRSBench: captions, referring expressions and questions, from its evaluation files or the JSON of each picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from geoprose.answers.codecs import parse_answer
from geoprose.core.errors import ConfigError
from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.files import inside, join, numbers, read_entries, read_json
from geoprose.data.readers.objects import Thing, object_words, size_group, spell
from geoprose.data.readers.picture import Picture, json_list
from geoprose.data.readers.pictures import picture_size
from geoprose.data.records import fail, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

What = Literal["caption", "referring", "qa"]
EVALUATION_FILES = {
    "caption": "VRSBench_EVAL_Cap.json",
    "referring": "VRSBench_EVAL_referring.json",
    "qa": "VRSBench_EVAL_vqa.json",
}
"""The files that the published evaluation reads, by kind of question."""

QUESTION_TYPES = {
    "object category": "category",
    "object existence": "presence",
    "object quantity": "quantity",
    "object color": "color",
    "object shape": "shape",
    "object size": "size",
    "object position": "position",
    "object direction": "direction",
    "scene type": "scene",
    "image": "scene",
    "rural or urban": "scene",
    "reasoning": "reasoning",
}
"""The ten types of the published table, by the types in the files."""


class VrsbenchReader:
    """Reads ``val`` (called ``test`` too) from the evaluation files, ``train`` from the annotations of each picture.

    Args:
        what: ``caption``, ``referring`` or ``qa``.
        reference: Boxes that answers are held against: ``published``, the whole hundredths that the evaluation file
            holds, cut and not rounded; or ``corners``, the hull of the annotated corners.

    Source: Li, Ding and Elhoseiny, "VRSBench", NeurIPS 2024 Datasets and Benchmarks; lx709/VRSBench,
    prepare_eval_all.ipynb (how the evaluation files were made) and eval_fianl (what they are held against).
    """

    layout = (
        "VRSBench from https://huggingface.co/datasets/xiang709/VRSBench: VRSBench_EVAL_Cap.json, "
        "VRSBench_EVAL_referring.json, VRSBench_EVAL_vqa.json and Images_val/ (9,350 pictures, 16,159 expressions, "
        "37,409 questions); to train, Annotations_train/*.json and Images_train/."
    )
    splits = ("train", "val", "test")

    def __init__(self, *, what: What = "caption", reference: Literal["published", "corners"] = "published") -> None:
        if what not in EVALUATION_FILES:
            raise ConfigError(f"what is {what!r}; choose one of {', '.join(EVALUATION_FILES)}.")
        if reference not in ("published", "corners"):
            raise ConfigError(f"reference is {reference!r}; choose published or corners.")
        self.what, self.reference = what, reference

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the file, or of the pictures' names."""
        check_split(split, self.splits, self.layout)
        folder = "Images_train" if split == "train" else "Images_val"
        name = EVALUATION_FILES[self.what]
        if split != "train":
            entries = [(f"{name}, entry {n}", row) for n, row in enumerate(read_entries(root, name, self.layout))]
        else:
            entries = list(self._annotated(root, "Annotations_train"))
        for number, (where, entry) in enumerate(entries):
            image = inside(entry.get("image_id"), where, "image_id")
            picture = Picture(f"{self.what}-{number}", (join(folder, image),), split, {"domain": "VRSBench"})
            yield self._sample(root, picture, entry, where)

    def _sample(self, root: Path, picture: Picture, entry: dict[str, Any], where: str) -> Sample:
        question = text(entry.get("question", ""), where, "question")
        if self.what == "referring":
            size = picture_size(root / picture.images[0])
            return _referring(picture, entry, self._corners(entry, size, where), size)
        answer = str(entry.get("ground_truth", "")).strip() or fail(where, "has no ground_truth")
        if self.what == "caption":
            return picture.ask("caption", question or "Describe the image in detail", [answer])
        published = text(entry.get("type"), where, "type").strip().lower()
        if published not in QUESTION_TYPES:
            fail(where, f"has type {published!r}; known types: {', '.join(QUESTION_TYPES)}")
        return picture.ask(QUESTION_TYPES[published], question, [answer], category=published)

    def _corners(self, entry: dict[str, Any], size: tuple[int, int], where: str) -> tuple[float, ...]:
        written = entry.get("ground_truth")
        if self.reference == "published" and written:
            boxes = parse_answer(str(written), "vrsbench", size).boxes
            if len(boxes) != 1:
                fail(where, f"ground_truth {written!r} is not one box {{<x1><y1><x2><y2>}}")
            return boxes[0].x_min, boxes[0].y_min, boxes[0].x_max, boxes[0].y_max
        corners = numbers(entry.get("obj_corner"), where, "obj_corner")
        if len(corners) != 8:
            fail(where, "obj_corner does not hold 8 numbers")
        xs, ys = [x * size[0] for x in corners[0::2]], [y * size[1] for y in corners[1::2]]
        return min(xs), min(ys), max(xs), max(ys)

    def _annotated(self, root: Path, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield entries as in an evaluation file, from the annotations of each picture."""
        files = sorted((root / folder).glob("*.json"))
        if not files:
            fail_missing(root, f"{folder}/*.json", self.layout)
        for file in files:
            name = join(folder, file.name)
            record = mapping(read_json(root, name, self.layout), name, "the document")
            base = {"image_id": record.get("image", f"{file.stem}.png")}
            if self.what == "caption":
                yield name, {**base, "ground_truth": record.get("caption")}
            elif self.what == "qa":
                for value in items(record.get("qa_pairs", []), name, "qa_pairs"):
                    pair = mapping(value, name, "question")
                    yield name, {**base, **pair, "ground_truth": pair.get("answer")}
            else:
                for value in items(record.get("objects", []), name, "objects"):
                    thing = mapping(value, name, "object")
                    renamed = {"question": thing.get("referring_sentence"), "unique": thing.get("is_unique")}
                    yield name, {**base, **thing, **renamed, "size_group": thing.get("obj_size")}


def _referring(picture: Picture, entry: dict[str, Any], corners: tuple[float, ...], size: tuple[int, int]) -> Sample:
    thing = Thing(corners, str(entry.get("obj_cls", "")))
    published = entry.get("size_group")
    is_unique = entry.get("unique")
    phrase = str(entry.get("question", "")).strip()
    return picture.ask(
        "grounding",
        phrase,
        [spell([thing], size)],
        boxes=[json_list(corners)],
        box_labels=[object_words(thing.label)],
        phrase=phrase,
        size_px=json_list(size),
        size_group=published if published in ("small", "medium", "large") else size_group(corners),
        is_unique=is_unique if isinstance(is_unique, bool) else None,
    )
