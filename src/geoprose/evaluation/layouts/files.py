r"""Read records from any container: JSON lines, a JSON list, CSV, TSV, xlsx; in a stream where it can be.

Only "\n" ends a line, a byte-order mark is dropped, text must be UTF-8. A last line that was cut off is left out and
said; a broken line anywhere else is an error that names it.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from geoprose.core.errors import ResourceError, TaskError
from geoprose.data.records import MAX_RECORD_BYTES
from geoprose.evaluation.layouts.json_list import iter_json_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.evaluation.layouts.base import Record

Container = Literal["jsonl", "json_list", "json_object", "csv", "tsv", "xlsx"]

MAX_WHOLE_BYTES = 1 << 30
"""Largest file that is read in one piece, where its container leaves no other way: a JSON object, xlsx."""

LIST_KEYS = ("outputs", "logs", "predictions", "results", "answers", "samples", "annotations", "data", "images")
"""Where the list of records lies in a JSON object, in the order in which they are tried."""

_TOTALS = frozenset({"versions", "n-shot", "higher_is_better", "task_hashes", "acc", "overall"})
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass
class FileNotes:
    """What is odd about a file, noted while it is read.

    Attributes:
        has_bom: It starts with a UTF-8 byte-order mark.
        has_crlf: Its lines end with carriage return and line feed.
        truncated_line: Number of a last line that was cut off; 0 when none was.
    """

    has_bom: bool = False
    has_crlf: bool = False
    truncated_line: int = 0


def find_container(path: Path) -> Container:
    """Tell the container from the first bytes of the file; its name only decides between CSV and TSV.

    Raises:
        TaskError: If the file is missing, empty or not UTF-8.
    """
    if not path.is_file():
        raise TaskError(f"{path} does not exist. Give the path of a file of predictions.")
    with path.open("rb") as handle:
        head = handle.read(1 << 16)
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    if head.startswith(_WIDE_MARKS):
        raise TaskError(f"{path.name} is UTF-16 text. Save it as UTF-8.")
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not start:
        raise TaskError(f"{path.name} is empty: it holds no prediction.")
    if start[:1] == b"[":
        return "json_list"
    if start[:1] == b"{":
        return "jsonl" if _is_json(start.split(b"\n", 1)[0]) else "json_object"
    first_line = start.split(b"\n", 1)[0]
    return "tsv" if path.suffix == ".tsv" or first_line.count(b"\t") > first_line.count(b",") else "csv"


def read_records(path: Path, notes: FileNotes) -> Iterator[tuple[int, Record]]:
    """Yield the records of a file with their numbers, from 1; lines count for JSON lines, rows for tables.

    Raises:
        TaskError: If the file is missing, empty, not UTF-8, or a record is broken; the message names file and place.
        ResourceError: If a package that the container needs is missing.
    """
    container = find_container(path)
    if container == "jsonl":
        yield from _json_lines(path, notes)
    elif container == "json_list":
        yield from _objects(iter_json_list(path, notes), path)
    elif container == "json_object":
        yield from _objects(iter(_list_in_object(path)), path)
    elif container == "xlsx":
        yield from _workbook(path)
    else:
        yield from _table(path, "\t" if container == "tsv" else ",", notes)


def _json_lines(path: Path, notes: FileNotes) -> Iterator[tuple[int, Record]]:
    number = 0
    with path.open("rb") as handle:
        while raw := handle.readline(MAX_RECORD_BYTES + 1):
            number += 1
            where = f"{path.name} line {number}"
            if len(raw) > MAX_RECORD_BYTES:
                raise TaskError(f"{where} is longer than {MAX_RECORD_BYTES} bytes, so it is not read as a record.")
            if number == 1 and raw.startswith(codecs.BOM_UTF8):
                notes.has_bom, raw = True, raw.removeprefix(codecs.BOM_UTF8)
            notes.has_crlf |= raw.endswith(b"\r\n")
            if not raw.strip():
                continue
            try:
                yield number, _object(json.loads(_decode(raw, where)), where)
            except (json.JSONDecodeError, RecursionError) as error:
                if not raw.endswith(b"\n"):  # only the last line can lack its end
                    notes.truncated_line = number
                    return
                raise TaskError(f"{where} is not valid JSON: {error}. Fix or remove it.") from error


def _table(path: Path, delimiter: str, notes: FileNotes) -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(MAX_RECORD_BYTES)
    with path.open("rb") as handle:
        head = handle.read(1 << 16)
    notes.has_bom, notes.has_crlf = head.startswith(codecs.BOM_UTF8), b"\r\n" in head
    number = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            for number, record in enumerate(csv.DictReader(handle, delimiter=delimiter), start=2):
                if None in record or None in record.values():
                    raise TaskError(
                        f"{path.name} row {number} has another number of cells than the head has columns. "
                        "Put quotes around cells that hold the separator."
                    )
                yield number, record
    except UnicodeDecodeError as error:
        _fail_encoding(f"{path.name} after row {number}", error)
    except csv.Error as error:
        raise TaskError(f"{path.name} row {number} is not a row of a table: {error}.") from error


def _workbook(path: Path) -> Iterator[tuple[int, Record]]:
    try:
        from openpyxl import load_workbook  # type: ignore[import-untyped]  # ships no types
    except ImportError as error:
        raise ResourceError(
            f"{path.name} is a workbook, and openpyxl is not installed. `pip install openpyxl`, or save it as CSV."
        ) from error
    rows = load_workbook(io.BytesIO(_whole(path)), read_only=True, data_only=True).active.iter_rows(values_only=True)
    head = [str(cell) for cell in next(rows, ()) if cell is not None]
    if not head:
        raise TaskError(f"{path.name} is empty: its first sheet holds no head of columns.")
    for number, row in enumerate(rows, start=2):
        if any(cell is not None for cell in row):
            yield number, dict(zip(head, row, strict=False))


def _list_in_object(path: Path) -> list[Any]:
    where = path.name
    try:
        whole = json.loads(_decode(_whole(path).removeprefix(codecs.BOM_UTF8), where))
    except (json.JSONDecodeError, RecursionError) as error:
        raise TaskError(f"{where} is not valid JSON: {error}. It may have been cut off; write it again.") from error
    for key in LIST_KEYS:
        if isinstance(whole.get(key), list) and whole[key]:
            found: list[Any] = whole[key]
            return found
    if _TOTALS & whole.keys():
        raise TaskError(
            f"{where} holds totals and no answers, so nothing can be scored. Give the file with the single answers, "
            "e.g. lmms-eval's *_samples_TASK.jsonl (--log_samples)."
        )
    raise TaskError(f"{where} is a JSON object without a list of records under {', '.join(LIST_KEYS)}.")


def _objects(values: Iterator[Any], path: Path) -> Iterator[tuple[int, Record]]:
    for number, value in enumerate(values, start=1):
        yield number, _object(value, f"{path.name} record {number}")


def _object(value: Any, where: str) -> Record:
    if not isinstance(value, dict):
        raise TaskError(f"{where} is {type(value).__name__} where a prediction must be an object with keys.")
    return value


def _whole(path: Path) -> bytes:
    if path.stat().st_size > MAX_WHOLE_BYTES:
        raise TaskError(f"{path.name} is larger than {MAX_WHOLE_BYTES} bytes. Write it as JSON lines.")
    return path.read_bytes()


def _decode(raw: bytes, where: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        _fail_encoding(where, error)


def _fail_encoding(where: str, error: UnicodeDecodeError) -> NoReturn:
    raise TaskError(f"{where} is not UTF-8 text (byte {error.start}). Save the file as UTF-8.") from error


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
