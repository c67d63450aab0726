"""VLMEvalKit's TSV files: pictures in base64 inside the rows, options in the columns A, B, C, ..."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from geoprose.core.errors import ConfigError
from geoprose.data.readers.base import check_split
from geoprose.data.readers.choices import ask_choice, option_columns
from geoprose.data.readers.files import inside
from geoprose.data.readers.general.published import POPE_KINDS, yes_or_no
from geoprose.data.readers.general.tsv_rows import read_tsv
from geoprose.data.readers.general.unpack import Unpacker, listed
from geoprose.data.readers.picture import Picture
from geoprose.data.records import fail

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from geoprose.core.types import Sample

logger = logging.getLogger(__name__)
ROTATED = 1_000_000
"""From this index on a row with options repeats question ``index % 1000000``, where there is one, in another order."""

MAX_REFERENCE_CHARS = 64
"""A shorter cell names the row that holds the picture; VLMEvalKit's image_base.py has the same bound."""


@dataclass(frozen=True)
class _Asked:
    where: str
    index: str
    fields: Mapping[str, Any]
    reference: str

    def base(self, known: Collection[str]) -> str:
        """Return the index of the question that a row asks in another order of its options; its own otherwise."""
        base = str(int(self.index) % ROTATED) if self.index.isdigit() else self.index
        return base if base in known and option_columns(self.fields) else self.index


class TsvReader:
    """Reads ``index, image (or image_path), question, answer`` and, where there are any, ``A, B, ..., hint, category``.

    Rows with options are type ``choice``. MMBench's files repeat each question in every order of its options: those
    orders share ``meta.group``. Rows without a picture are left out and counted.

    Args:
        files: File name by split.
        title: Name of the benchmark, for tables over data sets.
        kind: Question type of rows without options: ``yes_no``, ``ocr``, or any other.
        is_paired: Whether the questions about one picture are scored together, as MME does.
        orders: ``file`` for every order of the options that the file has, ``first`` for each question once.

    Source: Liu et al., MMBench, arXiv:2307.06281; open-compass/VLMEvalKit vlmeval/dataset/image_base.py.
    """

    def __init__(
        self,
        *,
        files: Mapping[str, str] | None = None,
        title: str = "MMBench",
        kind: str = "open",
        is_paired: bool = False,
        orders: Literal["file", "first"] = "file",
    ) -> None:
        if orders not in ("file", "first"):
            raise ConfigError(f"orders is {orders!r}; choose file or first.")
        self.files = dict(files or {"dev": "MMBench_DEV_EN.tsv"})
        if not all(isinstance(name, str) and name for name in self.files.values()):
            raise ConfigError(f"files is {files!r}; give a file name for each split.")
        self.title, self.kind, self.is_paired, self.orders = title, kind, is_paired, orders
        self.splits = tuple(self.files)
        self.layout = (
            f"{', '.join(self.files.values())} of VLMEvalKit, whose DATASET_URL says where "
            "(https://opencompass.openxlab.space/utils/ for most)."
        )

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        check_split(split, self.splits, self.layout)
        rows, pictures = self._rows(root, inside(self.files[split], "the reader's option files"))
        known = {row.index for row in rows}
        has_orders = any(row.base(known) != row.index for row in rows)
        skipped = 0
        for row in rows:
            base = row.base(known)
            if self.orders == "first" and base != row.index:
                continue
            images = pictures.get(row.index) or pictures.get(row.reference) or _paths(row)
            if row.reference and row.reference not in pictures:
                fail(row.where, f"its picture is said to be in row {row.reference!r}, which holds none")
            if images:
                yield self._question(row, images, split, base if has_orders and self.orders == "file" else None)
            else:
                skipped += 1
        if skipped:
            logger.warning("%d rows of %s have no picture and are left out", skipped, self.files[split])

    def _rows(self, root: Path, name: str) -> tuple[list[_Asked], dict[str, tuple[str, ...]]]:
        """Return the rows without their pictures, and the unpacked pictures by the index of their row."""
        unpacker, rows = Unpacker(root), list[_Asked]()
        pictures: dict[str, tuple[str, ...]] = {}
        for where, fields in read_tsv(root, name, self.layout):
            index = str(fields.get("index") or "").strip() or fail(where, "has no index")
            cell = str(fields.pop("image", "") or "").strip()
            if len(cell) > MAX_REFERENCE_CHARS:
                pictures[index] = tuple(unpacker.place_base64(one, where) for one in listed(cell, where))
                cell = ""
            rows.append(_Asked(where, index, fields, "" if cell == "nan" else cell))
        return rows, pictures

    def _question(self, row: _Asked, images: tuple[str, ...], split: str, group: str | None) -> Sample:
        picture = Picture(row.index, images, split, {"domain": self.title})
        asked = str(row.fields.get("question") or "").strip() or fail(row.where, "has no question")
        hint, category = (_cell(row, column) for column in ("hint", "category"))
        question = f"{hint}\n{asked}" if hint else asked
        answer = _cell(row, "answer") or fail(row.where, "has no answer; test files hide theirs, use the dev file")
        options = option_columns(row.fields)
        if options:
            return ask_choice(picture, question, options, answer, row.where, category=category or None, group=group)
        if self.kind != "yes_no":
            return picture.ask(self.kind, question, listed(answer, row.where), category=category or None)
        negatives = category if category in POPE_KINDS else None
        pair = f"{category}/{images[0]}" if self.is_paired else None
        answers = [yes_or_no(answer, row.where)]
        return picture.ask("yes_no", question, answers, category=category or None, negatives=negatives, group=pair)


def _cell(row: _Asked, column: str) -> str:
    written = str(row.fields.get(column) or "").strip()
    return "" if written == "nan" else written


def _paths(row: _Asked) -> tuple[str, ...]:
    """Return the picture files that a row names, of a table without pictures inside."""
    written = _cell(row, "image_path")
    return tuple(inside(path, row.where, "image_path") for path in listed(written, row.where)) if written else ()
