"""The data card: what a data set is made of, under which licence, how it is split and balanced, and its hashes."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from pydantic import Field

from geoprose.core.errors import DataError
from geoprose.core.files import sha256_file, write_json
from geoprose.core.spec import Spec, validate
from geoprose.data.records import load_json, mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample

CARD_NAME = "card.json"
MAX_CARD_BYTES = 10_000_000
MAX_ANSWERS = 20
"""Answers listed per task; the rest is counted."""


class DataSource(Spec):
    """One thing that a data set was made from."""

    name: str
    """Asset name or title."""
    licence: str
    """Licence of the source, SPDX where there is one."""
    url: str = ""
    """Where it is published."""
    sha256: str = ""
    """Checksum of the file that was used."""


class TaskBalance(Spec):
    """How often each answer of a question type occurs in a split."""

    num_samples: int
    """Questions of the type."""
    num_answers: int
    """Distinct answers."""
    majority_share: float
    """Share of the most frequent answer: what a constant answer would score."""
    answers: dict[str, int]
    """The most frequent answers."""


class DataCard(Spec):
    """The card of a data set, written as ``card.json`` beside its records."""

    name: str
    """Name of the data set."""
    licence: str
    """Licence of the records."""
    builder: str
    """Program and version that made it."""
    description: str = ""
    """One paragraph."""
    sources: list[DataSource] = Field(default_factory=list)
    """What it was made from."""
    box_codec: str | None = None
    """Format of boxes in answers, if there are any."""
    split: str = ""
    """How the splits were made."""
    num_samples: dict[str, int] = Field(default_factory=dict)
    """Records per split."""
    num_images: dict[str, int] = Field(default_factory=dict)
    """Distinct images per split."""
    balance: dict[str, dict[str, TaskBalance]] = Field(default_factory=dict)
    """Split to question type to balance of its answers."""
    leak_check: dict[str, int] = Field(default_factory=dict)
    """Findings of each kind of leak; 0 where none was found."""
    files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of every annotation file."""


def describe_samples(samples: Mapping[str, Sequence[Sample]]) -> dict[str, Any]:
    """Return the counted fields of a card, per split: ``num_samples``, ``num_images``, ``balance``."""
    return {
        "num_samples": {split: len(group) for split, group in samples.items()},
        "num_images": {split: len({image for s in group for image in s.images}) for split, group in samples.items()},
        "balance": {split: describe_balance(group) for split, group in samples.items()},
    }


def describe_balance(samples: Iterable[Sample]) -> dict[str, TaskBalance]:
    """Count the answers of each question type; the last assistant turn is the answer."""
    by_task: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        answers = [message.text.strip() for message in sample.messages if message.role == "assistant"]
        by_task[sample.task][answers[-1] if answers else ""] += 1
    return {task: _balance(answers) for task, answers in sorted(by_task.items())}


def _balance(answers: Counter[str]) -> TaskBalance:
    ranked = sorted(answers.items(), key=lambda item: (-item[1], item[0]))
    total = sum(answers.values())
    return TaskBalance(
        num_samples=total,
        num_answers=len(answers),
        majority_share=round(ranked[0][1] / total, 4),
        answers=dict(ranked[:MAX_ANSWERS]),
    )


def hash_files(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file by its path relative to ``root``."""
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in sorted(paths)}


def write_card(card: DataCard, path: Path) -> None:
    """Write a card atomically."""
    write_json(path, card.model_dump(mode="json"))


def load_card(path: Path) -> DataCard:
    """Read a card written by `write_card`.

    Raises:
        DataError: If the file is missing or not JSON.
        ConfigError: If it is not a DataCard.
    """
    return validate(DataCard, read_card(path), str(path))


def read_card(path: Path) -> dict[str, Any]:
    """Read any card as a JSON object; data sets may describe themselves in more detail than DataCard does.

    Raises:
        DataError: If the file is missing, too large, or not a JSON object.
    """
    if not path.is_file() or path.stat().st_size > MAX_CARD_BYTES:
        raise DataError(f"{path} is not a data card: missing, or larger than {MAX_CARD_BYTES} bytes.")
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text.") from error
    return dict(mapping(load_json(content, str(path)), str(path), "the card"))
