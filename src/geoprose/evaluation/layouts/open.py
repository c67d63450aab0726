"""Open a file of predictions: find its layout, then stream its rows as often as needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from geoprose.core.errors import TaskError
from geoprose.evaluation.layouts.files import FileNotes, read_records
from geoprose.evaluation.layouts.registry import LAYOUTS, sniff_layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.evaluation.layouts.base import Layout, PredictionRow

SNIFFED = 20
"""Records that are looked at to tell the layout."""

ROW_ID = "row "
"""Start of the identifiers of rows whose file gives none: ``row 17`` is the seventeenth."""


@dataclass(frozen=True)
class PredictionFile:
    """A file of predictions and its layout.

    Attributes:
        path: The file.
        layout: How its records are read.
        is_sniffed: Whether the layout was told from the file, not named by the user.
        notes: What is odd about the file, complete after `rows` has run to its end.
    """

    path: Path
    layout: Layout
    is_sniffed: bool
    notes: FileNotes = field(default_factory=FileNotes)

    def rows(self) -> Iterator[PredictionRow]:
        """Yield the rows of the file; a row without an identifier is named after its place.

        Raises:
            TaskError: If a record is broken or lacks a key of the layout; the message names file and place.
        """
        for place, (number, record) in enumerate(read_records(self.path, self.notes), start=1):
            try:
                row = self.layout.read(record)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise TaskError(
                    f"{self.path.name} record {number} is not of the {self.layout.name} layout: "
                    f"{type(error).__name__} {error}. Fix it, or name another layout with --layout."
                ) from error
            yield row if row.id else replace(row, id=f"{ROW_ID}{place}")


def open_predictions(path: Path, layout: str = "") -> PredictionFile:
    """Open a file of predictions.

    Args:
        path: The file.
        layout: Name in the table of layouts; told from the first records when empty.

    Raises:
        TaskError: If the file is missing, empty or of no known layout.
        ConfigError: If the layout is unknown; close names are listed.
    """
    if layout:
        chosen = LAYOUTS.get(layout)
        if next(read_records(path, FileNotes()), None) is None:
            raise TaskError(f"{path.name} is empty: it holds no prediction.")
        return PredictionFile(path, chosen, is_sniffed=False)
    records = [record for _, record in islice(read_records(path, FileNotes()), SNIFFED)]
    if not records:
        raise TaskError(f"{path.name} is empty: it holds no prediction.")
    return PredictionFile(path, sniff_layout(records, path.name), is_sniffed=True)
