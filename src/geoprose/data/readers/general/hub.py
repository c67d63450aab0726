"""Benchmarks as parquet files, in the shards in which the hub publishes them; pictures lie inside the rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.data.readers.base import check_split
from geoprose.data.readers.general import published
from geoprose.data.readers.general.tables import read_parquet
from geoprose.data.readers.general.unpack import Unpacker, listed
from geoprose.data.readers.picture import Picture
from geoprose.data.records import fail, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from geoprose.core.types import Sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubRow:
    """One row of a table.

    Attributes:
        fields: Values by column.
        where: Place in the files, for messages.
        number: Place in the split, from 0.
        split: Name of the split.
        title: Name of the benchmark.
        unpacker: Writes the pictures of the row.
    """

    fields: Mapping[str, Any]
    where: str
    number: int
    split: str
    title: str
    unpacker: Unpacker

    def about(self, name: str, *values: Any) -> Picture:
        """Return the pictures of the row, unpacked.

        Args:
            name: Identifier of the row.
            values: What the table holds of each picture: its bytes, beside the name it once had.

        Raises:
            DataError: If there are none, or one is broken.
        """
        if not values:
            fail(self.where, "holds no picture")
        return Picture(name, tuple(map(self._place, values)), self.split, {"domain": self.title})

    def name(self, column: str) -> str:
        """Return the text of a column that identifies the row.

        Raises:
            DataError: If it is empty.
        """
        return text(self.fields.get(column), self.where, column).strip() or fail(self.where, f"{column} is empty")

    def _place(self, value: Any) -> str:
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            fail(self.where, "lacks the bytes of a picture")
        return self.unpacker.place(content, self.where)


def _mmmu(row: HubRow) -> Sample:
    asked = text(row.fields.get("question"), row.where, "question")
    options = listed(str(row.fields.get("options") or "[]"), row.where)
    named, question, options = published.mmmu_pictures(asked, options)
    picture = row.about(row.name("id"), *(row.fields.get(f"image_{number}") for number in named))
    return published.ask_mmmu(picture, row.fields, question, options, row.where)


def _mme(row: HubRow) -> Sample:
    picture = row.about(row.name("question_id"), row.fields.get("image"))
    return published.ask_mme(picture, row.fields, row.where, str(row.number))


def _pope(row: HubRow) -> Sample:
    picture = row.about(f"{row.fields.get('category')}-{row.name('question_id')}", row.fields.get("image"))
    return published.ask_pope(picture, row.fields, row.where)


def _ocrbench(row: HubRow) -> Sample:
    return published.ask_ocrbench(row.about(str(row.number), row.fields.get("image")), row.fields, row.where)


def _realworldqa(row: HubRow) -> Sample:
    return published.ask_realworldqa(row.about(str(row.number), row.fields.get("image")), row.fields, row.where)


def _science_qa(row: HubRow) -> Sample | None:
    image = row.fields.get("image")
    if image is None:
        return None
    return published.ask_science_qa(row.about(str(row.number), image), row.fields, row.where)


def _mathvista(row: HubRow) -> Sample:
    picture = row.about(row.name("pid"), row.fields.get("decoded_image"))
    return published.ask_mathvista(picture, row.fields, row.where)


def _seed(row: HubRow) -> Sample | None:
    if row.fields.get("data_type") != "image":
        return None
    images = published.as_pictures(row.fields.get("image"), row.where, "image")
    picture = row.about(row.name("question_id"), *images)
    number = row.fields.get("question_type_id")
    name = published.SEED_TYPES.get(number) if isinstance(number, int) else None
    return published.ask_seed(picture, row.fields, row.where, name or fail(row.where, f"type {number!r} is unknown"))


@dataclass(frozen=True)
class HubSet:
    """What is published of one benchmark.

    Attributes:
        title: Its name.
        repository: Where its parquet files are.
        splits: Its splits.
        make: Makes the question of a row; None for a row that is not asked about.
        skipped: What the rows are that are not asked about.
    """

    title: str
    repository: str
    splits: tuple[str, ...]
    make: Callable[[HubRow], Sample | None]
    skipped: str = ""


HUB_SETS: Mapping[str, HubSet] = {
    "mmmu": HubSet("MMMU", "lmms-lab/MMMU (one folder) or MMMU/MMMU (one folder per subject)",
                   ("dev", "validation", "test"), _mmmu),
    "mme": HubSet("MME", "lmms-lab/MME", ("test",), _mme),
    "pope": HubSet("POPE", "lmms-lab/POPE", ("test",), _pope),
    "ocrbench": HubSet("OCRBench", "echo840/OCRBench", ("test",), _ocrbench),
    "realworldqa": HubSet("RealWorldQA", "xai-org/RealworldQA", ("test",), _realworldqa),
    "science-qa": HubSet("ScienceQA", "derek-thomas/ScienceQA", ("train", "validation", "test"), _science_qa,
                         "without a picture"),
    "mathvista": HubSet("MathVista", "AI4Math/MathVista", ("testmini", "test"), _mathvista),
    "seed-bench": HubSet("SEED-Bench", "lmms-lab/SEED-Bench", ("test",), _seed, "about videos"),
}  # fmt: skip
"""The benchmarks by name."""


class HubReader:
    """Reads the parquet files of one benchmark; its pictures are unpacked below ``.geoprose/`` once.

    Args:
        data_set: Name in HUB_SETS.

    Source: the columns are those of the repositories' cards; prompts and scores are the business of the tasks.
    """

    def __init__(self, *, data_set: str = "mmmu") -> None:
        if data_set not in HUB_SETS:
            raise ConfigError(unknown_name_message("benchmark", data_set, HUB_SETS))
        self.data_set = HUB_SETS[data_set]
        self.splits = self.data_set.splits
        self.layout = (
            f"{self.data_set.title} from https://huggingface.co/datasets, {self.data_set.repository}: its parquet "
            "files as data/<split>-*.parquet (folders by subject are found too)."
        )

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the files and rows."""
        check_split(split, self.splits, self.layout)
        unpacker = Unpacker(root)
        patterns = [f"data/{split}-*.parquet", f"{split}-*.parquet", f"*/{split}-*.parquet"]
        skipped = 0
        for number, (where, fields) in enumerate(read_parquet(root, patterns, self.layout)):
            made = self.data_set.make(HubRow(fields, where, number, split, self.data_set.title, unpacker))
            if made is None:
                skipped += 1
            else:
                yield made
        if skipped:
            logger.warning("%d rows of %s are %s and are left out", skipped, self.data_set.title, self.data_set.skipped)
