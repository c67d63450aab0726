"""Read the annotation files of public data sets: size first, then text, then JSON or XML; faults name their place."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from geoprose.core.errors import DataError
from geoprose.data.neutral import iter_lines
from geoprose.data.readers.base import fail_missing
from geoprose.data.records import MAX_FILE_BYTES, fail, items, load_json, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_XML_BYTES = 20_000_000
"""Largest XML file that is read; a picture's annotation has a few thousand bytes."""


def read_json(root: Path, name: str, layout: str) -> Any:
    """Return the JSON document ``name`` below ``root``.

    Raises:
        DataError: If it is missing, too large, not UTF-8 or not JSON.
    """
    return load_json(_read_text(root, name, layout, MAX_FILE_BYTES), name)


def read_entries(root: Path, name: str, layout: str, key: str = "") -> list[dict[str, Any]]:
    """Return the objects of a JSON list, or of the list under ``key``.

    Raises:
        DataError: If the file is missing or broken, or the list is not there.
    """
    document = read_json(root, name, layout)
    if key:
        document = mapping(document, name, "the document").get(key)
    return [mapping(entry, f"{name}, entry {n}", "it") for n, entry in enumerate(items(document, name, key or "it"))]


def read_jsonl(root: Path, name: str, layout: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and object of each line of a JSON-lines file.

    Raises:
        DataError: If the file is missing or a line is broken.
    """
    path = root / name
    if not path.is_file():
        fail_missing(root, name, layout)
    for where, line in iter_lines(path):
        if line.strip():
            yield where, mapping(load_json(line, where), where, "the line")


def read_list(root: Path, name: str, layout: str) -> list[str]:
    """Return the lines of a text file that are not empty.

    Raises:
        DataError: If the file is missing or not UTF-8.
    """
    lines = _read_text(root, name, layout, MAX_FILE_BYTES).splitlines()
    return [line.strip() for line in lines if line.strip()]


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root element of a small XML file without document type.

    Raises:
        DataError: If it is too large, declares entities, or is not XML.
    """
    if path.stat().st_size > MAX_XML_BYTES:
        raise DataError(
            f"{path} is larger than {MAX_XML_BYTES} bytes, so it is not read as the annotation of a picture."
        )
    content = path.read_bytes()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # entities can blow a small file up
        raise DataError(f"{path} declares a document type or entities; annotations have none. Remove the declaration.")
    try:
        return ElementTree.fromstring(content)  # noqa: S314 - no document type, so there is nothing to expand
    except ElementTree.ParseError as error:
        raise DataError(f"{path} is not valid XML: {error}. Fix or remove it.") from error


def xml_text(element: ElementTree.Element, tag: str, where: str) -> str:
    """Return the text of a child element.

    Raises:
        DataError: If there is no such child or it is empty.
    """
    found = (element.findtext(tag) or "").strip()
    if not found:
        fail(where, f"lacks <{tag}>")
    return found


def inside(name: Any, where: str, key: str = "file name") -> str:
    """Return a path that an annotation file gives, if it stays below its folder.

    Raises:
        DataError: If it is no text, empty, absolute, or climbs out with ``..``.
    """
    written = text(name, where, key).replace("\\", "/").strip()
    path = PurePosixPath(written)
    if not written or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        fail(where, f"{key} {written!r} is not a path below the data set's folder")
    return path.as_posix()


def join(*parts: str) -> str:
    """Join the parts of a relative path; empty parts and ``.`` vanish."""
    return PurePosixPath(*[part for part in parts if part not in ("", ".")]).as_posix()


def first_present(root: Path, candidates: Sequence[str], layout: str) -> str:
    """Return the first of several relative paths that exists below ``root``.

    Raises:
        DataError: If none does.
    """
    for candidate in candidates:
        if (root / candidate).exists():
            return candidate
    fail_missing(root, " or ".join(candidates), layout)


def identifier(value: Any, where: str, key: str = "id") -> int | str:
    """Return an identifier: text or a whole number.

    Raises:
        DataError: If it is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        fail(where, f"{key} must be text or a whole number, found {type(value).__name__}")
    return value


def numbers(value: Any, where: str, key: str) -> tuple[float, ...]:
    """Return a list of finite numbers.

    Raises:
        DataError: If it is no list, or an entry is no finite number.
    """
    found = items(value, where, key)
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in found):
        fail(where, f"{key} must be a list of finite numbers")
    return tuple(float(one) for one in found)


def pixels(width: Any, height: Any) -> tuple[int, int] | None:
    """Return a picture's size where both are whole numbers above 0, else None: the header then says it."""
    sides = [side for side in (width, height) if isinstance(side, int) and not isinstance(side, bool) and side > 0]
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _read_text(root: Path, name: str, layout: str, limit: int) -> str:
    path = root / name
    if not path.is_file():
        fail_missing(root, name, layout)
    if path.stat().st_size > limit:
        raise DataError(f"{path} is larger than {limit} bytes. Split it into several files.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}). Save the file as UTF-8.") from error
