"""The neutral format: one Sample a line as JSON; a data set is a folder of such files beside ``images/``."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from geoprose.core.errors import DataError
from geoprose.core.files import write_jsonl
from geoprose.data.records import MAX_FILE_BYTES, MAX_RECORD_BYTES, load_json, sample_from_dict, sample_to_dict

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample

SPLITS = ("train", "val", "test")
"""Splits in the order in which their files are read."""

OnError = Callable[[int, DataError], None]


def read_samples(path: Path, split: str | None = None) -> list[Sample]:
    """Read the samples of a file, or of every ``*.jsonl`` of a data set's folder.

    Args:
        path: A ``.jsonl`` file or the folder of a data set.
        split: Keep this split only; a file named after a split counts as that split.

    Raises:
        DataError: If the file is missing, too large, or a line is not a sample; the message names file and line.
    """
    samples: list[Sample] = []
    for name, file in annotation_files(path, ".jsonl").items():
        samples += [sample for sample in iter_samples(file) if split in (None, sample.split or name)]
    return samples


def iter_samples(path: Path, on_error: OnError | None = None) -> Iterator[Sample]:
    """Yield the samples of one file, line by line.

    Args:
        path: A ``.jsonl`` file.
        on_error: Called with line number and error for a broken line, which is then skipped; without it the first
            broken line raises.

    Raises:
        DataError: If the file cannot be read, or a line is broken and ``on_error`` is None.
    """
    for number, line in _lines(path):
        where = f"{path.name}, line {number}"
        try:
            _check_length(line, where)
            decoded = _decode(line, where)
            if not decoded.strip():
                continue
            sample = sample_from_dict(load_json(decoded, where), where)
        except DataError as error:
            if on_error is None:
                raise
            on_error(number, error)
            continue
        yield sample


def iter_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield place and text of each line of a JSON-lines file, empty lines too.

    Raises:
        DataError: If the file is missing or too large, or a line is too long or not UTF-8.
    """
    for number, line in _lines(path):
        where = f"{path.name}, line {number}"
        _check_length(line, where)
        yield where, _decode(line, where)


def _check_length(line: bytes, where: str) -> None:
    if len(line) > MAX_RECORD_BYTES:
        raise DataError(f"{where} is longer than {MAX_RECORD_BYTES} bytes, so it is not read as a record.")


def write_samples(samples: Iterable[Sample], path: Path) -> None:
    """Write samples as JSON lines, atomically."""
    write_jsonl(path, (sample_to_dict(sample) for sample in samples))


def annotation_files(path: Path, suffix: str) -> dict[str, Path]:
    """Return the annotation files of ``path`` by the name of the split they hold.

    Args:
        path: A file, or a folder whose files of ``suffix`` are taken: ``train``, ``val``, ``test`` first, then others.
        suffix: For instance ``".jsonl"``.

    Raises:
        DataError: If there is no such file, or it is too large.
    """
    if path.is_dir():
        order = {name: place for place, name in enumerate(SPLITS)}
        found = sorted(path.glob(f"*{suffix}"), key=lambda file: (order.get(file.stem, len(order)), file.name))
        if not found:
            raise DataError(f"{path} holds no *{suffix} file. Give the folder of a data set, or one annotation file.")
    else:
        found = [path]
    for file in found:
        if not file.is_file():
            raise DataError(f"{file} does not exist. Give an annotation file or the folder of a data set.")
        if file.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{file} is larger than {MAX_FILE_BYTES} bytes. Split it into several files.")
    return {file.stem if file.stem in SPLITS else "" if len(found) == 1 else file.stem: file for file in found}


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield numbered lines; a line over the limit comes cut to one byte more than it, and its rest is skipped."""
    annotation_files(path, path.suffix)
    try:
        with path.open("rb") as handle:
            number = 0
            while line := handle.readline(MAX_RECORD_BYTES + 1):
                number += 1
                yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                while line and not line.endswith(b"\n") and len(line) > MAX_RECORD_BYTES:
                    line = handle.readline(MAX_RECORD_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _decode(line: bytes, where: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text (byte {error.start}). Save the file as UTF-8.") from error
