"""POPE, OCRBench, MathVista and ScienceQA as their authors publish them: JSON files beside folders of pictures."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from geoprose.data.readers.base import check_split
from geoprose.data.readers.files import first_present, inside, join, read_entries, read_json, read_jsonl
from geoprose.data.readers.general.published import (
    POPE_KINDS,
    ask_mathvista,
    ask_ocrbench,
    ask_pope,
    ask_science_qa,
)
from geoprose.data.readers.picture import Picture
from geoprose.data.records import mapping, strings, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

logger = logging.getLogger(__name__)


class PopeReader:
    """Reads ``coco_pope_<kind>.json``, one object a line, about pictures of COCO.

    Source: Li et al., "Evaluating Object Hallucination in Large Vision-Language Models", arXiv:2305.10355;
    RUCAIBox/POPE.
    """

    layout = (
        "coco_pope_random.json, coco_pope_popular.json and coco_pope_adversarial.json of "
        "https://github.com/RUCAIBox/POPE (output/coco) and COCO's pictures in val2014/."
    )
    splits = ("test",)

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions of the three files."""
        check_split(split, self.splits, self.layout)
        for kind in POPE_KINDS:
            name = first_present(
                root, [join(at, f"coco_pope_{kind}.json") for at in (".", "coco", "output/coco")], self.layout
            )
            folder = first_present(root, ("val2014", "images/val2014", "images"), self.layout)
            for number, (where, row) in enumerate(read_jsonl(root, name, self.layout)):
                image = join(folder, inside(row.get("image"), where, "image"))
                picture = Picture(f"{kind}-{row.get('question_id', number)}", (image,), split, {"domain": "POPE"})
                yield ask_pope(
                    picture, {"category": kind, "question": row.get("text"), "answer": row.get("label")}, where
                )


class OcrBenchReader:
    """Reads ``OCRBench.json``.

    Source: Liu et al., "OCRBench: On the Hidden Mystery of OCR in Large Multimodal Models", arXiv:2305.07895;
    Yuliang-Liu/MultimodalOCR OCRBench/example.py.
    """

    layout = (
        "OCRBench/OCRBench.json of https://github.com/Yuliang-Liu/MultimodalOCR and its pictures in OCRBench_Images/."
    )
    splits = ("test",)

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        check_split(split, self.splits, self.layout)
        name = first_present(root, ("OCRBench/OCRBench.json", "OCRBench.json"), self.layout)
        folder = first_present(root, ("OCRBench_Images", "images"), self.layout)
        for number, row in enumerate(read_entries(root, name, self.layout)):
            where = f"{name}, entry {number}"
            image = join(folder, inside(row.get("image_path"), where, "image_path"))
            fields = {
                "dataset": row.get("dataset_name"),
                "question_type": row.get("type"),
                "question": row.get("question"),
                "answer": row.get("answers"),
            }
            yield ask_ocrbench(Picture(str(number), (image,), split, {"domain": "OCRBench"}), fields, where)


class MathVistaReader:
    """Reads ``annot_testmini.json``, one object per problem under its number.

    Source: Lu et al., "MathVista", arXiv:2310.02255; lupantech/MathVista and AI4Math/MathVista on the hub.
    """

    layout = (
        "annot_testmini.json of https://huggingface.co/datasets/AI4Math/MathVista and its images.zip, unpacked to "
        "images/."
    )
    splits = ("testmini",)

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the problems in the order of the file."""
        check_split(split, self.splits, self.layout)
        name = first_present(root, (f"annot_{split}.json", f"{split}.json"), self.layout)
        for pid, value in mapping(read_json(root, name, self.layout), name, "the document").items():
            where = f"{name}, problem {pid}"
            fields = mapping(value, where, "it")
            image = inside(fields.get("image"), where, "image")
            yield ask_mathvista(Picture(pid, (image,), split, {"domain": "MathVista"}), fields, where)


class ScienceQaReader:
    """Reads ``problems.json`` and ``pid_splits.json``; problems without a picture are left out and counted.

    Source: Lu et al., "Learn to Explain", arXiv:2209.09513; lupantech/ScienceQA.
    """

    layout = (
        "problems.json and pid_splits.json of https://github.com/lupantech/ScienceQA (data/scienceqa) and the pictures "
        "of its download.sh as images/<split>/<id>/image.png."
    )
    splits = ("train", "val", "test", "minival", "minitest")

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the problems with a picture, in the order of the split's list."""
        check_split(split, self.splits, self.layout)
        problems = mapping(read_json(root, "problems.json", self.layout), "problems.json", "the document")
        lists = mapping(read_json(root, "pid_splits.json", self.layout), "pid_splits.json", "the document")
        skipped = 0
        for pid in strings(lists.get(split), "pid_splits.json", split):
            where = f"problems.json, problem {pid}"
            fields = mapping(problems.get(pid), where, "it")
            if not fields.get("image"):
                skipped += 1
                continue
            at = text(fields.get("split"), where, "split")
            image = inside(f"images/{at}/{pid}/{fields['image']}", where, "image")
            yield ask_science_qa(Picture(pid, (image,), split, {"domain": "ScienceQA"}), fields, where)
        if skipped:
            logger.warning("%d problems of ScienceQA %s have no picture and are left out", skipped, split)
