"""Read a JSON list element by element, so that a list of a million objects never lies in memory."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.data.records import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.evaluation.layouts.files import FileNotes

BLOCK_BYTES = 1 << 20
_BETWEEN = " \t\r\n,"


def iter_json_list(path: Path, notes: FileNotes) -> Iterator[Any]:
    """Yield the elements of a file that is one JSON list.

    A list that breaks off ends with the last whole element, and ``notes.truncated_line`` says so with its number.

    Raises:
        TaskError: If the file is not UTF-8, or an element is broken or too long.
    """
    decode = json.JSONDecoder().raw_decode
    blocks = _blocks(path, notes)
    buffer = next(blocks, "")
    place = buffer.index("[") + 1
    number, is_done = 0, False
    while True:
        place = _skip(buffer, place)
        if buffer.startswith("]", place):
            return
        try:
            value, end = decode(buffer, place)
            is_whole = is_done or end < len(buffer)  # a number at the end of a block may go on in the next
        except (json.JSONDecodeError, RecursionError) as error:
            is_whole = False
            if is_done:
                _end_of_file(path, notes, number + 1, buffer, error)
                return
        if is_whole:
            number, place = number + 1, end
            yield value
            continue
        if len(buffer) - place > MAX_RECORD_BYTES:
            raise TaskError(f"{path.name} record {number + 1} is broken, or longer than {MAX_RECORD_BYTES} characters.")
        more = next(blocks, None)
        is_done = more is None
        buffer, place = buffer[place:] + (more or ""), 0


def _skip(buffer: str, place: int) -> int:
    while place < len(buffer) and buffer[place] in _BETWEEN:
        place += 1
    return place


def _blocks(path: Path, notes: FileNotes) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    read = 0
    with path.open("rb") as handle:
        while block := handle.read(BLOCK_BYTES):
            if read == 0 and block.startswith(codecs.BOM_UTF8):
                notes.has_bom, block = True, block.removeprefix(codecs.BOM_UTF8)
            notes.has_crlf |= b"\r\n" in block
            try:
                yield decoder.decode(block)
            except UnicodeDecodeError as error:
                raise TaskError(
                    f"{path.name} is not UTF-8 text (byte {read + error.start}). Save the file as UTF-8."
                ) from error
            read += len(block)


def _end_of_file(path: Path, notes: FileNotes, number: int, rest: str, error: Exception) -> None:
    """Tell a list that breaks off from one with a broken element, which cannot be stepped over."""
    position = getattr(error, "pos", 0)
    if rest and position < len(rest.rstrip()) and not str(error).startswith("Unterminated"):
        raise TaskError(f"{path.name} record {number} is not valid JSON: {error}. Fix or remove it.") from error
    notes.truncated_line = number
