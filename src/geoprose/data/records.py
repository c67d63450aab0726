"""Sample to a JSON object and back, strictly: an unknown key or a wrong type is an error that names its place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

from geoprose.core.errors import DataError
from geoprose.core.types import GeoRef, JsonValue, Message, Role, Sample

MAX_RECORD_BYTES: Final = 10_000_000
"""Longest line, or entry of a list, that is read as one record."""

MAX_FILE_BYTES: Final = 4_000_000_000
"""Largest annotation file that is read."""

IMAGE_MARK: Final = "<image>"
ROLES: Final[tuple[Role, ...]] = ("system", "user", "assistant")

_SAMPLE_KEYS = {"id", "images", "messages", "task", "split", "georefs", "meta"}
_MESSAGE_KEYS = {"role", "text"}
_GEOREF_KEYS = {"transform", "crs", "width_px", "height_px"}


def sample_to_dict(sample: Sample) -> dict[str, Any]:
    """Return the JSON object of a sample; keys with empty values are left out."""
    record: dict[str, Any] = {
        "id": sample.id,
        "images": list(sample.images),
        "messages": [{"role": message.role, "text": message.text} for message in sample.messages],
    }
    if sample.task:
        record["task"] = sample.task
    if sample.split:
        record["split"] = sample.split
    if sample.georefs:
        record["georefs"] = [georef_to_dict(georef) for georef in sample.georefs]
    if sample.meta:
        record["meta"] = dict(sample.meta)
    return record


def sample_from_dict(record: Any, where: str) -> Sample:
    """Build a sample from its JSON object.

    Args:
        record: What `sample_to_dict` makes.
        where: File and line, for the message of an error.

    Raises:
        DataError: If a key is missing, unknown, or holds the wrong type.
    """
    _check_keys(record, _SAMPLE_KEYS, {"id", "images", "messages"}, where)
    images = strings(record["images"], where, "images")
    sample = Sample(
        id=text(record["id"], where, "id"),
        images=images,
        messages=tuple(
            _message(message, f"{where}, message {index + 1}")
            for index, message in enumerate(items(record["messages"], where, "messages"))
        ),
        task=text(record.get("task", ""), where, "task"),
        split=text(record.get("split", ""), where, "split"),
        georefs=georefs_from_list(record.get("georefs", []), len(images), where),
        meta=mapping(record.get("meta", {}), where, "meta"),
    )
    if not sample.id:
        fail(where, "id is empty; every record needs an id of its own")
    return sample


def georef_to_dict(georef: GeoRef | None) -> dict[str, Any] | None:
    """Return the JSON object of a georeference; None stays None."""
    if georef is None:
        return None
    return {
        "transform": list(georef.transform),
        "crs": georef.crs,
        "width_px": georef.width_px,
        "height_px": georef.height_px,
    }


def georefs_from_list(value: Any, num_images: int, where: str) -> tuple[GeoRef | None, ...]:
    """Build the georeferences of a record; there is one per image, or none at all.

    Raises:
        DataError: If the count differs from the images or a georeference is broken.
    """
    entries = items(value, where, "georefs")
    if entries and len(entries) != num_images:
        fail(where, f"holds {len(entries)} georefs for {num_images} images; give one per image, null where unknown")
    return tuple(_georef(entry, f"{where}, georef {index + 1}") for index, entry in enumerate(entries))


def _georef(value: Any, where: str) -> GeoRef | None:
    if value is None:
        return None
    _check_keys(value, _GEOREF_KEYS, _GEOREF_KEYS, where)
    numbers = items(value["transform"], where, "transform")
    if len(numbers) != 6 or not all(_is_number(number) for number in numbers):
        fail(where, "transform must be six finite numbers a, b, c, d, e, f")
    a, b, c, d, e, f = (float(number) for number in numbers)
    if a * e == b * d:
        fail(where, "transform cannot be inverted: its columns are parallel")
    crs = value["crs"]
    if crs is not None and not isinstance(crs, str):
        fail(where, f"crs must be text or null, found {type(crs).__name__}")
    width_px, height_px = value["width_px"], value["height_px"]
    if not (_is_size(width_px) and _is_size(height_px)):
        fail(where, f"width_px and height_px must be whole numbers above 0, found {width_px!r} and {height_px!r}")
    return GeoRef((a, b, c, d, e, f), crs or None, width_px, height_px)


def _message(value: Any, where: str) -> Message:
    _check_keys(value, _MESSAGE_KEYS, _MESSAGE_KEYS, where)
    if value["role"] not in ROLES:
        fail(where, f"role is {value['role']!r}; known roles: {', '.join(ROLES)}")
    return Message(cast("Role", value["role"]), text(value["text"], where, "text"))


def load_json(line: str, where: str) -> Any:
    """Parse one JSON document; NaN, infinity and endless nesting are refused.

    Raises:
        DataError: If it is not JSON.
    """
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not valid JSON: {error}. Fix or remove it.") from error


def fail(where: str, what: str) -> NoReturn:
    """Raise a DataError that names the place."""
    raise DataError(f"{where}: {what}.")


def text(value: Any, where: str, key: str) -> str:
    """Return ``value`` if it is text, else raise DataError."""
    if not isinstance(value, str):
        fail(where, f"{key} must be text, found {type(value).__name__}")
    return value


def strings(value: Any, where: str, key: str) -> tuple[str, ...]:
    """Return ``value`` as a tuple if it is a list of texts, else raise DataError."""
    return tuple(text(entry, where, f"{key}[{index}]") for index, entry in enumerate(items(value, where, key)))


def items(value: Any, where: str, key: str) -> list[Any]:
    """Return ``value`` if it is a list, else raise DataError."""
    if not isinstance(value, list):
        fail(where, f"{key} must be a list, found {type(value).__name__}")
    return value


def mapping(value: Any, where: str, key: str) -> dict[str, JsonValue]:
    """Return ``value`` if it is a JSON object, else raise DataError."""
    if not isinstance(value, dict):
        fail(where, f"{key} must be an object, found {type(value).__name__}")
    return value


def _check_keys(value: Any, known: set[str], required: set[str], where: str) -> None:
    if not isinstance(value, Mapping):
        fail(where, f"must be an object, found {type(value).__name__}")
    missing, unknown = sorted(required - value.keys()), sorted(map(str, value.keys() - known))
    if missing:
        fail(where, f"lacks {', '.join(missing)}")
    if unknown:
        fail(
            where,
            f"has unknown keys {', '.join(unknown)}; known: {', '.join(sorted(known))}. Other facts belong in meta",
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
