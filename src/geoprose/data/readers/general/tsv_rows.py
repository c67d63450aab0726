"""Rows of a TSV file whose cells may be megabytes long: pandas' quoting, split without looking at every character."""

# Why not the csv module: it takes about 50 ns a character, which is minutes for a table with pictures inside.

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import DataError
from geoprose.data.readers.base import fail_missing
from geoprose.data.readers.general.unpack import MAX_PICTURE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

MAX_ROW_CHARS = 8 * MAX_PICTURE_BYTES
"""Longest row: a few of the largest pictures in base64."""


def read_tsv(root: Path, name: str, layout: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield place and cells of the rows of a TSV file with a head, as pandas writes it.

    A cell in double quotes may hold tabulators, line ends and doubled quotes.

    Raises:
        DataError: If it is missing, not UTF-8, a row does not fit the head, or a quote is never closed.
    """
    if not (root / name).is_file():
        fail_missing(root, name, layout)
    number, head = 1, list[str]()
    try:
        with (root / name).open(encoding="utf-8-sig", newline="\n") as handle:
            for number, cells in enumerate(split_rows(handle, name), start=1):
                if not head:
                    head = cells
                elif len(cells) == len(head):
                    yield f"{name}, row {number}", dict(zip(head, cells, strict=True))
                elif cells != [""]:  # an empty line is no row
                    raise DataError(
                        f"{name}, row {number} has {len(cells)} cells, the head {len(head)}. Download it again."
                    )
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8 text after row {number}. Save it as UTF-8.") from error


def split_rows(handle: TextIO, name: str) -> Iterator[list[str]]:
    """Yield the cells of each row; only a line feed ends a line, with or without a carriage return before it.

    Raises:
        DataError: If a row is too long, or a quote is never closed.
    """
    row = _Row()
    length = 0
    while line := handle.readline(MAX_ROW_CHARS + 1):
        length += len(line)
        if length > MAX_ROW_CHARS:
            raise DataError(f"{name} has a row above {MAX_ROW_CHARS} characters, or a quote that is never closed.")
        row.add(line)
        if not row.is_open:
            yield row.cells
            row, length = _Row(), 0
    if row.is_open:
        raise DataError(f"{name} ends inside a quoted cell. Download it again.")


class _Row:
    """The cells of a row, as its lines come in."""

    def __init__(self) -> None:
        self.cells: list[str] = []
        self.is_open = False
        self._parts: list[str] = []

    def add(self, line: str) -> None:
        body = line.removesuffix("\n")
        end = line[len(body) :]
        pieces = body.split("\t")
        for place, piece in enumerate(pieces):
            is_last = place == len(pieces) - 1
            if self.is_open:
                self.is_open = piece.count('"') % 2 == 0
            else:
                self.is_open = piece.startswith('"') and piece.count('"') % 2 == 1
            self._parts.append(piece)
            if self.is_open:
                self._parts.append(end if is_last else "\t")
            else:
                self.cells.append(_unquoted("".join(self._parts), is_last))
                self._parts = []


def _unquoted(cell: str, is_last: bool) -> str:
    cell = cell.removesuffix("\r") if is_last else cell
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
