r"""The LLaVA and GeoChat conversation format, with what it lacks under one key that other readers ignore.

::

    [{"id": "7", "image": "images/7.png",
      "conversations": [{"from": "human", "value": "<image>\\nQ"}, {"from": "gpt", "value": "A"}],
      "geoprose": {"task": "presence", "split": "train",
                   "georefs": [{"transform": [10.0, 0.0, 5e5, 0.0, -10.0, 5e6], "crs": "EPSG:32631",
                                "width_px": 64, "height_px": 64}],
                   "meta": {"gsd_m": 10.0}}}]

``image`` is a path, or a list of paths where there are several (GeoLLaVA-8K). Readers of LLaVA use ``id``, ``image``
and ``conversations`` and pass over ``geoprose``. Other keys of an entry are kept in ``meta["llava"]`` and written back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from geoprose.core.errors import DataError
from geoprose.core.files import write_json
from geoprose.core.types import JsonValue, Message, Role, Sample
from geoprose.data.neutral import OnError, annotation_files
from geoprose.data.records import (
    fail,
    georef_to_dict,
    georefs_from_list,
    items,
    load_json,
    mapping,
    strings,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

GEOPROSE_KEY: Final = "geoprose"
EXTRA_KEY: Final = "llava"
_ENTRY_KEYS = {"id", "image", "conversations", GEOPROSE_KEY}
_ROLES: Final[dict[str, Role]] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_NAMES: Final[dict[Role, str]] = {"user": "human", "assistant": "gpt", "system": "system"}
_MAX_BYTES: Final = 2_000_000_000


def read_llava(path: Path) -> list[Sample]:
    """Read a LLaVA/GeoChat file: a JSON list, or one entry a line.

    Raises:
        DataError: If the file is missing or too large, or an entry is broken; the message names the entry or line.
    """
    return list(iter_llava(path))


def iter_llava(path: Path, on_error: OnError | None = None) -> Iterator[Sample]:
    """Yield the samples of a LLaVA/GeoChat file; ``on_error`` as in `geoprose.data.neutral.iter_samples`."""
    is_lines = path.suffix == ".jsonl"
    for number, where, entry in _entries(path):
        try:
            sample = _sample(load_json(entry, where) if is_lines else entry, number, where)
        except DataError as error:
            if on_error is None:
                raise
            on_error(number, error)
            continue
        yield sample


def write_llava(samples: Iterable[Sample], path: Path) -> None:
    """Write samples as a JSON list of conversations, atomically; `read_llava` gives the same samples back."""
    write_json(path, [_entry(sample) for sample in samples])


def _entries(path: Path) -> Iterator[tuple[int, str, Any]]:
    annotation_files(path, path.suffix)
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path} is larger than {_MAX_BYTES} bytes. Split it, or convert it to JSON lines.")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    if path.suffix == ".jsonl":
        for number, line in enumerate(content.split("\n"), start=1):
            if line.strip():
                yield number, f"{path.name}, line {number}", line
        return
    for number, entry in enumerate(items(load_json(content, path.name), path.name, "the file"), start=1):
        yield number, f"{path.name}, entry {number}", entry


def _sample(entry: Any, number: int, where: str) -> Sample:
    record = mapping(entry, where, "the entry")
    if "conversations" not in record:
        fail(where, "lacks conversations; is this a LLaVA/GeoChat file?")
    identifier = record.get("id", number)
    image = record.get("image")
    images = () if image is None else (image,) if isinstance(image, str) else strings(image, where, "image")
    ours = mapping(record.get(GEOPROSE_KEY, {}), where, GEOPROSE_KEY)
    meta = mapping(ours.get("meta", {}), where, "geoprose.meta")
    extra: dict[str, JsonValue] = {key: value for key, value in record.items() if key not in _ENTRY_KEYS}
    if unknown := sorted(ours.keys() - {"task", "split", "georefs", "meta"}):
        fail(where, f"geoprose has unknown keys {', '.join(unknown)}")
    if not isinstance(identifier, str | int) or isinstance(identifier, bool) or identifier == "":
        fail(where, f"id must be text or a whole number, found {identifier!r}")
    turns = items(record["conversations"], where, "conversations")
    return Sample(
        id=str(identifier),
        images=images,
        messages=tuple(_message(turn, f"{where}, turn {place}") for place, turn in enumerate(turns, start=1)),
        task=text(ours.get("task", ""), where, "geoprose.task"),
        split=text(ours.get("split", ""), where, "geoprose.split"),
        georefs=georefs_from_list(ours.get("georefs", []), len(images), where),
        meta={**meta, EXTRA_KEY: extra} if extra else meta,
    )


def _message(turn: Any, where: str) -> Message:
    record = mapping(turn, where, "the turn")
    speaker = record.get("from")
    if not isinstance(speaker, str) or speaker not in _ROLES:
        fail(where, f"from is {speaker!r}; known: {', '.join(_ROLES)}")
    return Message(_ROLES[speaker], text(record.get("value"), where, "value"))


def _entry(sample: Sample) -> dict[str, Any]:
    extra, meta = _split_extra(sample.meta)
    entry: dict[str, Any] = {"id": sample.id}
    if sample.images:
        entry["image"] = sample.images[0] if len(sample.images) == 1 else list(sample.images)
    entry["conversations"] = [{"from": _NAMES[message.role], "value": message.text} for message in sample.messages]
    ours: dict[str, Any] = {
        "task": sample.task,
        "split": sample.split,
        "georefs": [georef_to_dict(georef) for georef in sample.georefs],
        "meta": meta,
    }
    ours = {key: value for key, value in ours.items() if value}
    return {**entry, **extra, **({GEOPROSE_KEY: ours} if ours else {})}


def _split_extra(meta: Mapping[str, JsonValue]) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Return the foreign keys of an entry, and the meta without them."""
    extra = meta.get(EXTRA_KEY)
    if not isinstance(extra, dict) or not extra or _ENTRY_KEYS & extra.keys():
        return {}, dict(meta)
    return extra, {key: value for key, value in meta.items() if key != EXTRA_KEY}
