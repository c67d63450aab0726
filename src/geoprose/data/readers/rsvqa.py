"""RSVQA, low and high resolution, and CDVQA, which has the same three files and asks about pairs of dates."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.registry import unknown_name_message
from geoprose.data.readers.base import check_split
from geoprose.data.readers.files import first_present, identifier, inside, join, read_entries
from geoprose.data.readers.picture import Picture
from geoprose.data.records import fail, items, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from geoprose.core.types import JsonValue, Sample

logger = logging.getLogger(__name__)
Entry = dict[str, Any]


@dataclass(frozen=True)
class QuestionSet:
    """What is published of one set.

    Attributes:
        title: Name of the set.
        download: Where it is.
        files: Beginning of the names of its three files, by split.
        images: Folders of the pictures; two lists for pairs, the earlier date first.
        counts: Published number of questions of a split; several where publications differ.
    """

    title: str
    download: str
    files: Mapping[str, str]
    images: tuple[tuple[str, ...], ...]
    counts: Mapping[str, tuple[int, ...]]


QUESTION_SETS: Mapping[str, QuestionSet] = {
    "lr": QuestionSet(
        "RSVQA-LR",
        "https://zenodo.org/records/6344334",
        {split: f"LR_split_{split}" for split in ("train", "val", "test")},
        (("Images_LR", "images", "."),),
        {"test": (10_004,)},
    ),
    "hr": QuestionSet(
        "RSVQA-HR",
        "https://zenodo.org/records/6344367",
        {split: f"USGS_split_{split}" for split in ("train", "val", "test", "test_phili")},
        (("Data", "images", "."),),
        # GeoChat reports 47 thousand questions of the second test set, its own file has 62,554.
        {"test": (222_684,), "test_phili": (105_647, 62_554, 47_000)},
    ),
    "cdvqa": QuestionSet(
        "CDVQA",
        "https://github.com/YZHJessica/CDVQA",
        {"train": "Train", "val": "Val", "test": "Test", "test2": "Test2"},
        (("im1", "SECOND/im1", "A"), ("im2", "SECOND/im2", "B")),
        {},
    ),
}
"""The sets by name."""


class RsvqaReader:
    """Reads ``<split>_images.json``, ``<split>_questions.json`` and ``<split>_answers.json``.

    The three lists are as long as those of the whole set; an entry of another split is only an id with ``active``
    false. Ids are places in the full lists. The text of a question may stand in ``all_questions.json`` alone.

    Args:
        data_set: ``lr``, ``hr`` or ``cdvqa``.

    Source: Lobry et al., "RSVQA: Visual Question Answering for Remote Sensing Data", TGRS 2020, and its code
    syvlo/RSVQA (VQALoader.py, DataSpecification.md, which spells ``quesiton_id``); Yuan et al., "Change Detection Meets
    Visual Question Answering", TGRS 2022.
    """

    def __init__(self, *, data_set: str = "lr") -> None:
        if data_set not in QUESTION_SETS:
            raise ConfigError(unknown_name_message("question set", data_set, QUESTION_SETS))
        self.data_set = QUESTION_SETS[data_set]
        self.splits = tuple(self.data_set.files)
        folders = " and ".join(f"{folders[0]}/" for folders in self.data_set.images)
        begins = ", ".join(self.data_set.files.values())
        self.layout = (
            f"{self.data_set.title} from {self.data_set.download}: <begin>_images.json, <begin>_questions.json and "
            f"<begin>_answers.json for <begin> {begins}, and the pictures in {folders}"
        )

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the active questions about the active pictures, picture by picture."""
        check_split(split, self.splits, self.layout)
        begin = self.data_set.files[split]
        images = read_entries(root, f"{begin}_images.json", self.layout, "images")
        questions = _Table(root, begin, "questions", self.layout)
        answers = _Table(root, begin, "answers", self.layout)
        by_question = answers.by_question()
        folders = [first_present(root, candidates, self.layout) for candidates in self.data_set.images]
        asked = 0
        for image in images:
            if not image.get("active", True):
                continue
            picture = self._picture(root, image, folders, split)
            asked_of = items(image.get("questions_ids", []), f"image {picture.id}", "questions_ids")
            for question_id in asked_of:
                question = questions.get(question_id)
                if question.get("active", True):
                    asked += 1
                    answer = _answer(question, answers, by_question, f"question {question_id} of {split}")
                    yield _sample(picture, question, answer, question_id)
        self._report(split, asked)

    def _picture(self, root: Path, image: Entry, folders: list[str], split: str) -> Picture:
        image_id = str(identifier(image.get("id"), f"images of {split}"))
        name = image.get("file_name") or _file(root, folders[0], image_id)
        paths = tuple(join(folder, inside(name, f"image {image_id}")) for folder in folders)
        keys = {key.lower().replace("-", "_"): value for key, value in image.items()}
        facts: dict[str, JsonValue] = {"domain": self.data_set.title, "gsd_m": _metres(keys.get("res_x"))}
        corner = [keys.get("upperleft_map_x"), keys.get("upperleft_map_y")]
        if all(isinstance(value, int | float) for value in corner):
            facts["upperleft_map_xy"] = corner
        return Picture(image_id, paths, split, facts)

    def _report(self, split: str, asked: int) -> None:
        published = self.data_set.counts.get(split, ())
        if not asked:
            raise DataError(f"{self.data_set.title} has no active question in {split}. Download its files again.")
        if published and asked not in published:
            known = " or ".join(f"{count:,}" for count in published)
            logger.warning(
                "%s %s: %d questions; publications count %s. Say n beside the score.",
                self.data_set.title, split, asked, known,
            )  # fmt: skip


class _Table:
    """The entries of one of the three files by id, completed from ``all_*.json`` where a split file holds ids alone."""

    def __init__(self, root: Path, begin: str, kind: str, layout: str) -> None:
        self.name = f"{begin}_{kind}.json"
        self.entries = _by_id(root, self.name, kind, layout)
        field = kind.removesuffix("s")
        bare = [key for key, entry in self.entries.items() if entry.get("active", True) and field not in entry]
        if bare:
            everything = _by_id(root, f"all_{kind}.json", kind, layout)
            self.entries.update({key: {**everything.get(key, {}), **self.entries[key]} for key in bare})

    def get(self, key: Any) -> Entry:
        """Return the entry with an id that another file names."""
        entry = self.entries.get(identifier(key, self.name))
        if entry is None:
            fail(self.name, f"has no entry {key}, which another file names")
        return entry

    def by_question(self) -> dict[int | str, list[Entry]]:
        """Return the active answers of each question; the published specification spells the key in two ways."""
        grouped: dict[int | str, list[Entry]] = defaultdict(list)
        for entry in self.entries.values():
            if entry.get("active", True):
                key = entry.get("question_id", entry.get("quesiton_id"))
                grouped[identifier(key, self.name, "question_id")].append(entry)
        return grouped


def _by_id(root: Path, name: str, kind: str, layout: str) -> dict[int | str, Entry]:
    entries = read_entries(root, name, layout, kind)
    return {identifier(entry.get("id", number), name): entry for number, entry in enumerate(entries)}


def _answer(question: Entry, answers: _Table, by_question: Mapping[int | str, list[Entry]], where: str) -> str:
    ids = items(question.get("answers_ids") or [], where, "answers_ids")
    own = identifier(question.get("id"), where)
    found = [answers.get(key) for key in ids] if ids else by_question.get(own, [])
    active = [entry for entry in found if entry.get("active", True)]
    if not active:
        fail(where, "has no active answer")
    return str(active[0].get("answer", "")).strip() or fail(where, "has an empty answer")


def _sample(picture: Picture, question: Entry, answer: str, question_id: Any) -> Sample:
    where = f"question {question_id}"
    kind = text(question.get("type"), where, "type")
    count = int(answer) if kind == "count" and answer.isdigit() else None
    asked = text(question.get("question"), where, "question")
    return picture.ask(kind, asked, [answer], f"q{question_id}", count=count)


def _file(root: Path, folder: str, stem: str) -> str:
    for suffix in (".tif", ".png", ".jpg"):
        if (root / folder / f"{stem}{suffix}").is_file():
            return f"{stem}{suffix}"
    return f"{stem}.tif"


def _metres(value: Any) -> float | None:
    """Read ``".1524m"`` or a number."""
    match = re.fullmatch(r"\s*(\d*\.?\d+)\s*m?\s*", str(value))
    return float(match.group(1)) if match else None
