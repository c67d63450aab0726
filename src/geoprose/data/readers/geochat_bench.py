"""The question files of GeoChat-Bench: scenes, questions, referring expressions and region captions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from geoprose.answers.codecs import parse_answer
from geoprose.answers.corners import box_corners
from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.base import check_split
from geoprose.data.readers.files import first_present, inside, join, numbers, read_jsonl
from geoprose.data.readers.objects import Thing, size_group, spell
from geoprose.data.readers.picture import Picture, json_list, spellings
from geoprose.data.readers.pictures import PictureFinder, picture_size
from geoprose.data.readers.rsvqa import RsvqaReader
from geoprose.data.records import fail, items, text
from geoprose.data.scene_captions import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

logger = logging.getLogger(__name__)
What = Literal["aid", "ucmerced", "lrben", "hrben", "referring", "region_captioning"]
FILES = {
    "aid": ("aid.jsonl", ("AID", "images/AID", "images")),
    "ucmerced": ("UCmerced.jsonl", ("UCMerced_LandUse/Images", "Images", "images")),
    "lrben": ("lrben.jsonl", ("Images_LR", "RSVQA_LR/Images_LR", "images")),
    "hrben": ("hrben.jsonl", ("Data", "RSVQA_HR/Data", "images")),
    "referring": ("referring.jsonl", ("images", ".")),
    "region_captioning": ("region_captioning.jsonl", ("images", ".")),
}
"""Question file and candidates of the picture folder, by kind of question."""

SUFFIX = "Answer the question using a single word or phrase."
"""What the question files append; a task's prompt says it again, so the reader takes it off."""


class GeochatBenchReader:
    """Reads one question file and the pictures it names.

    Scenes: the right class is the folder in ``question_id``. Questions: the files hold no answers, so they are joined
    with RSVQA's own files, by question id where the texts agree. Referring expressions: the answer is a list of
    polygons in pixels; one box is type ``refer``, several are ``refer_multiple``, descriptions with boxes ``describe``.

    Args:
        what: Which file.
        rsvqa: Folder of RSVQA-LR or RSVQA-HR below the data folder, for the answers.

    Source: GeoChat, CVPR 2024: mbzuai-oryx/GeoChat docs/Evaluation.md and geochat/eval/batch_geochat_*.py;
    https://huggingface.co/datasets/MBZUAI/GeoChat-Bench.
    """

    splits = ("test",)

    def __init__(self, *, what: What = "referring", rsvqa: str = ".") -> None:
        if what not in FILES:
            raise ConfigError(f"what is {what!r}; choose one of {', '.join(FILES)}.")
        self.what, self.rsvqa = what, rsvqa
        file, folders = FILES[what]
        extra = {
            "lrben": ", and LR_split_test_{images,questions,answers}.json of RSVQA-LR",
            "hrben": ", and USGS_split_test_phili_{images,questions,answers}.json of RSVQA-HR",
            "referring": " (images.zip of GeoChat_Instruct)",
            "region_captioning": " (images.zip of GeoChat_Instruct)",
        }.get(what, "")
        self.layout = (
            f"{file} of https://huggingface.co/datasets/MBZUAI/GeoChat-Bench and its pictures in {folders[0]}/{extra}."
        )

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        check_split(split, self.splits, self.layout)
        file, folders = FILES[self.what]
        rows = list(read_jsonl(root, file, self.layout))
        folder = first_present(root, folders, self.layout)
        if self.what in ("aid", "ucmerced"):
            yield from self._scenes(rows, folder, split)
        elif self.what in ("lrben", "hrben"):
            yield from self._questions(root, rows, folder, split)
        else:
            finder = PictureFinder(root, folder, self.layout)
            for number, (where, row) in enumerate(rows):
                image = finder.find(inside(row.get("image_id"), where, "image_id"))
                meta = {"domain": str(row.get("dataset") or "GeoChat-Bench")}
                picture = Picture(f"{number}-{row.get('question_id', number)}", (image,), split, meta)
                size = picture_size(root / image)
                maker = _referring if self.what == "referring" else _region
                yield maker(picture, row, size, where)

    def _scenes(self, rows: list[tuple[str, dict[str, Any]]], folder: str, split: str) -> Iterator[Sample]:
        labels = [text(row.get("question_id"), where, "question_id").split("/")[0] for where, row in rows]
        options = json_list([words_of(label) for label in sorted(set(labels))])
        domain = "AID" if self.what == "aid" else "UC Merced Land Use"
        for (where, row), label in zip(rows, labels, strict=True):
            image = join(folder, inside(row.get("image"), where, "image"))
            picture = Picture(str(row["question_id"]), (image,), split, {"domain": domain, "options": options})
            yield picture.ask("scene", _bare(text(row.get("text"), where, "text")), spellings(words_of(label), label))

    def _questions(
        self, root: Path, rows: list[tuple[str, dict[str, Any]]], folder: str, split: str
    ) -> Iterator[Sample]:
        answered, by_text = self._answers(root)
        missing = []
        for where, row in rows:
            image = inside(row.get("image"), where, "image")
            asked = _bare(text(row.get("text"), where, "text"))
            stem = image.rsplit("/", 1)[-1].rsplit(".", 1)[0]
            found = answered.get(str(row.get("question_id")))
            if found is None or _question_of(found) != _plain(asked):
                found = by_text.get((stem, _plain(asked)))
            if found is None:
                missing.append(where)
                continue
            picture = Picture(
                str(row.get("question_id")), (join(folder, image),), split, {"domain": found.meta["domain"]}
            )
            yield picture.ask(found.task, asked, [found.messages[-1].text])
        if missing:
            logger.warning("%d of %d questions are not in RSVQA's files and were left out, e.g. %s",
                           len(missing), len(rows), missing[0])  # fmt: skip
        if len(missing) == len(rows):
            raise DataError(f"{root} has RSVQA files that answer no question. Expected layout: {self.layout}")

    def _answers(self, root: Path) -> tuple[dict[str, Sample], dict[tuple[str, str], Sample]]:
        """Return RSVQA's test questions by id, and by picture and text."""
        reader = RsvqaReader(data_set="lr" if self.what == "lrben" else "hr")
        name = "test" if self.what == "lrben" else "test_phili"
        samples = list(reader.read(root / self.rsvqa, name))
        stems = [sample.images[0].rsplit("/", 1)[-1].rsplit(".", 1)[0] for sample in samples]
        by_id = {sample.id.rsplit("-q", 1)[-1]: sample for sample in samples}
        return by_id, {(stem, _question_of(sample)): sample for stem, sample in zip(stems, samples, strict=True)}


def _referring(picture: Picture, row: dict[str, Any], size: tuple[int, int], where: str) -> Sample:
    phrase = text(row.get("question"), where, "question").strip()
    things = [Thing(_flat(polygon, where), "") for polygon in items(row.get("ground_truth"), where, "ground_truth")]
    if not things:
        fail(where, "has no polygon in ground_truth")
    kind = "describe" if row.get("type") == "grounding" else "refer" if len(things) == 1 else "refer_multiple"
    return picture.ask(
        kind,
        phrase,
        [spell(things, size)],
        boxes=[json_list(thing.corners) for thing in things],
        phrase=phrase,
        size_px=json_list(size),
        size_group=row.get("size_group") or size_group(things[0].corners),
        is_unique=len(things) == 1,
    )


def _region(picture: Picture, row: dict[str, Any], size: tuple[int, int], where: str) -> Sample:
    written = text(row.get("question"), where, "question")
    boxes = parse_answer(written, "geochat", size).boxes
    if not boxes:
        fail(where, f"question {written!r} holds no box")
    region = [number for corner in box_corners(boxes[0]) for number in corner]
    answer = text(row.get("ground_truth"), where, "ground_truth")
    return picture.ask(
        "region_caption",
        written,
        [answer.strip()],
        region=json_list(region),
        size_px=json_list(size),
        size_group=row.get("size_group"),
    )


def _flat(polygon: Any, where: str) -> tuple[float, ...]:
    points = [numbers(point, where, "corner") for point in items(polygon, where, "polygon")]
    if len(points) != 4 or any(len(point) != 2 for point in points):
        fail(where, "a polygon of ground_truth does not have four corners of two numbers")
    return tuple(number for point in points for number in point)


def _bare(question: str) -> str:
    return question.strip().removesuffix(SUFFIX).strip()


def _plain(question: str) -> str:
    return " ".join(question.lower().rstrip("?. ").split())


def _question_of(sample: Sample) -> str:
    return _plain(sample.messages[0].text.rsplit("\n", 1)[-1])
