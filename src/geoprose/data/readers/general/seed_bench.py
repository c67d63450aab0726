"""SEED-Bench as its authors publish it: one JSON file, pictures, and videos as folders of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from geoprose.core.errors import ConfigError
from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.files import identifier, inside, join, read_json
from geoprose.data.readers.general.frames import EXTRACT, check_count, sample_frames
from geoprose.data.readers.general.published import ask_seed, seed_names
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.pictures import PictureFinder
from geoprose.data.records import fail, items, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

FILE, PICTURES, FRAMES = "SEED-Bench.json", "SEED-Bench-image", "SEED-Bench-frames"


class SeedBenchReader:
    """Reads the questions about pictures (types 1 to 9), or those about videos (10 to 12).

    Args:
        what: ``image`` or ``video``.
        frames: Frames shown of a video, evenly; those of its segment where the file names one.

    Source: Li et al., "SEED-Bench", arXiv:2307.16125; AILab-CVC/SEED-Bench DATASET.md and eval.py.
    """

    splits = ("test",)

    def __init__(self, *, what: Literal["image", "video"] = "image", frames: int = 8) -> None:
        if what not in ("image", "video"):
            raise ConfigError(f"what is {what!r}; choose image or video.")
        self.what, self.frames = what, check_count(frames)
        of = f"pictures in {PICTURES}/" if what == "image" else (
            f"the frames of each question's video in {FRAMES}/<question_id>/ (of the segment it names; "
            f"e.g. `{EXTRACT}`)"
        )  # fmt: skip
        self.layout = f"{FILE} of https://huggingface.co/datasets/AILab-CVC/SEED-Bench and {of}."

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        check_split(split, self.splits, self.layout)
        document = mapping(read_json(root, FILE, self.layout), FILE, "the document")
        names = seed_names(document, FILE)
        finder = PictureFinder(root, PICTURES, self.layout)
        found = False
        for number, value in enumerate(items(document.get("questions"), FILE, "questions")):
            where = f"{FILE}, question {number}"
            fields = mapping(value, where, "it")
            if fields.get("data_type") != self.what:
                continue
            found = True
            name = inside(str(identifier(fields.get("question_id"), where, "question_id")), where, "question_id")
            category = names.get(identifier(fields.get("question_type_id"), where, "question_type_id"))
            if category is None:
                fail(where, f"question_type_id {fields['question_type_id']!r} has no name")
            if self.what == "image":
                images: tuple[str, ...] = (finder.find(inside(fields.get("data_id"), where, "data_id")),)
            else:
                images = sample_frames(root, join(FRAMES, name), self.frames, self.layout)
            yield ask_seed(Picture(name, images, split, {"domain": "SEED-Bench"}), fields, where, category)
        if not found:
            fail_missing(root, f"any question about a {self.what} in {FILE}", self.layout)
