"""Preferences between answers as neutral records, and the published layouts they are read from.

A pair is a conversation whose last turn is the preferred answer, with ``meta["rejected"]``: the same record also serves
instruction tuning. A single judged answer is a conversation with ``meta["is_good"]``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from geoprose.core.errors import DataError
from geoprose.core.types import JsonValue, Message, Sample
from geoprose.data.neutral import iter_lines
from geoprose.data.records import IMAGE_MARK, fail, load_json, mapping, strings, text

if TYPE_CHECKING:
    from pathlib import Path

REJECTED_KEY: Final = "rejected"
"""Key of ``Sample.meta``: the answer that is worse than the last turn."""
GOOD_KEY: Final = "is_good"
"""Key of ``Sample.meta``: whether the last turn is a good answer."""

_QUESTION_KEYS = ("question", "prompt", "input")
_IMAGE_KEYS = ("image", "images")
_ROLES: Final = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}


def answer_of(sample: Sample) -> str:
    """Return the last turn of a preference record.

    Raises:
        DataError: If the conversation does not end with the assistant's turn.
    """
    if len(sample.messages) < 2 or sample.messages[-1].role != "assistant":
        raise DataError(f"Sample {sample.id}: a preference record must end with the assistant's (preferred) answer.")
    return sample.messages[-1].text


def rejected_of(sample: Sample) -> str | None:
    """Return the worse answer of a pair, None for a single judged answer.

    Raises:
        DataError: If it is not text.
    """
    value = sample.meta.get(REJECTED_KEY)
    if value is not None and not isinstance(value, str):
        raise DataError(f"Sample {sample.id}: meta['{REJECTED_KEY}'] must be text, found {type(value).__name__}.")
    return value


def is_good(sample: Sample) -> bool:
    """Return whether the last turn is a good answer; the last turn of a pair is.

    Raises:
        DataError: If the record is neither a pair nor a judged answer.
    """
    value = sample.meta.get(GOOD_KEY, True if REJECTED_KEY in sample.meta else None)
    if not isinstance(value, bool):
        raise DataError(
            f"Sample {sample.id} holds no preference: give meta['{REJECTED_KEY}'] (a worse answer) or "
            f"meta['{GOOD_KEY}'] (true or false)."
        )
    return value


def with_answer(sample: Sample, answer: str) -> Sample:
    """Return the sample with another last answer; a conversation that ends with the user's turn gets one."""
    turns = sample.messages[:-1] if sample.messages and sample.messages[-1].role == "assistant" else sample.messages
    return replace(sample, messages=(*turns, Message("assistant", answer)))


def make_pair(sample: Sample, chosen: str, rejected: str, meta: dict[str, JsonValue] | None = None) -> Sample:
    """Return the record of a pair about the question of ``sample``, with further ``meta``."""
    return replace(with_answer(sample, chosen), meta={**sample.meta, **(meta or {}), REJECTED_KEY: rejected})


def read_preferences(path: Path) -> list[Sample]:
    """Read a published file of preferences (JSON lines).

    Taken are the layout of MMPR (``image``, ``question``, ``chosen``, ``rejected``), TRL's columns (``prompt``,
    ``chosen``, ``rejected``; texts or lists of messages) and TRL's judged answers (``prompt``, ``completion``,
    ``label``).

    Raises:
        DataError: If the file is missing, or a line is of no such layout; the message names the line.
    """
    samples = []
    for number, (where, line) in enumerate(iter_lines(path), start=1):
        if line.strip():
            samples.append(_sample(mapping(load_json(line, where), where, "the record"), number, where))
    if not samples:
        raise DataError(f"{path} holds no record. Give a file of preferences, one JSON object a line.")
    return samples


def _sample(record: dict[str, Any], number: int, where: str) -> Sample:
    images = _images(record, where)
    prompt = _prompt(record, where)
    is_pair = "chosen" in record
    if not is_pair and not isinstance(record.get("label"), bool):
        fail(where, "lacks chosen and rejected, or completion and label (true or false)")
    answer = _last_text(record.get("chosen" if is_pair else "completion"), where, "chosen" if is_pair else "completion")
    meta: dict[str, JsonValue] = (
        {REJECTED_KEY: _last_text(record.get("rejected"), where, "rejected")}
        if is_pair
        else {GOOD_KEY: bool(record["label"])}
    )
    messages = (*_marked(prompt, len(images), where), Message("assistant", answer))
    return Sample(str(record.get("id", number)), images, messages, meta=meta)


def _images(record: dict[str, Any], where: str) -> tuple[str, ...]:
    key = next((key for key in _IMAGE_KEYS if record.get(key)), None)
    if key is None:
        return ()
    value = record[key]
    return (value,) if isinstance(value, str) else strings(value, where, key)


def _prompt(record: dict[str, Any], where: str) -> list[Message]:
    key = next((key for key in _QUESTION_KEYS if key in record), None)
    if key is not None:
        value = record[key]
        return [Message("user", value)] if isinstance(value, str) else _messages(value, where, key)
    # TRL's implicit prompt: both conversations begin alike.
    chosen, rejected = record.get("chosen"), record.get("rejected")
    if not isinstance(chosen, list) or not isinstance(rejected, list) or chosen[:-1] != rejected[:-1]:
        fail(where, f"has no {' or '.join(_QUESTION_KEYS)}, and chosen and rejected do not begin alike")
    return _messages(chosen[:-1], where, "chosen")


def _messages(value: Any, where: str, key: str) -> list[Message]:
    if not isinstance(value, list) or not value:
        fail(where, f"{key} must be text or a list of messages")
    found = []
    for entry in value:
        turn = mapping(entry, where, key)
        role = turn.get("role", turn.get("from"))
        if role not in _ROLES:
            fail(where, f"{key} has the role {role!r}; known: {', '.join(_ROLES)}")
        found.append(Message(_ROLES[str(role)], _content(turn.get("content", turn.get("value")), where, key)))  # type: ignore[arg-type]
    return found


def _content(value: Any, where: str, key: str) -> str:
    """Return the text of a message; typed parts become text and image marks."""
    if not isinstance(value, list):
        return text(value, where, key)
    parts = [mapping(part, where, key) for part in value]
    return "".join(f"{IMAGE_MARK}\n" if part.get("type") == "image" else str(part.get("text", "")) for part in parts)


def _last_text(value: Any, where: str, key: str) -> str:
    if isinstance(value, list):
        value = _messages(value, where, key)[-1].text
    return text(value, where, key)


def _marked(prompt: list[Message], num_images: int, where: str) -> list[Message]:
    """Put the marks of all pictures in front of the first user turn where the record has none."""
    marks = sum(message.text.count(IMAGE_MARK) for message in prompt)
    if marks == num_images:
        return prompt
    if marks:
        fail(where, f"marks {marks} pictures with {IMAGE_MARK} but names {num_images}")
    place = next((place for place, message in enumerate(prompt) if message.role == "user"), None)
    if place is None:
        fail(where, "has no turn of the user")
    first = Message("user", f"{IMAGE_MARK}\n" * num_images + prompt[place].text)
    return [*prompt[:place], first, *prompt[place + 1 :]]
