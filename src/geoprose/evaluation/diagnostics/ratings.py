"""Ratings of answers by experts, from a CSV file."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.core.errors import TaskError

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("id", "rater", "rating")


@dataclass(frozen=True)
class Ratings:
    """What experts said.

    Attributes:
        by_id: Ratings of each sample, by rater.
        raters: Everybody who rated.
        empty: Lines without a rating.
    """

    by_id: dict[str, dict[str, float]]
    raters: tuple[str, ...]
    empty: int

    @property
    def means(self) -> dict[str, float]:
        """Mean rating of each sample."""
        return {name: sum(given.values()) / len(given) for name, given in self.by_id.items()}


def read_ratings(path: Path) -> Ratings:
    """Read a CSV file with the columns ``id``, ``rater`` and ``rating``; others are left alone.

    Raises:
        TaskError: If the file is missing or not UTF-8, lacks a column, or a rating is no finite number or given twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"The ratings {path} cannot be read ({error}). Give a CSV file in UTF-8.") from error
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise TaskError(f"{path.name} lacks the column {', '.join(missing)}. Its first line must be id,rater,rating.")
    found: dict[str, dict[str, float]] = defaultdict(dict)
    empty = 0
    for number, row in enumerate(reader, start=2):
        name, rater, written = ((row[column] or "").strip() for column in COLUMNS)
        if not written:
            empty += 1
            continue
        if rater in found[name]:
            raise TaskError(f"{path.name} line {number}: {rater!r} has rated {name!r} already. Keep one rating.")
        found[name][rater] = _number(written, f"{path.name} line {number}")
    if not any(found.values()):
        raise TaskError(f"{path.name} holds no rating.")
    raters = sorted({rater for given in found.values() for rater in given})
    return Ratings({name: given for name, given in found.items() if given}, tuple(raters), empty)


def _number(written: str, where: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TaskError(f"{where}: {written!r} is no finite number. Ratings are numbers; leave it empty when missing.")
    return value
