"""A picture, or a pair of dates, that questions are asked about: the one way in which readers make samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geoprose.core.types import Message, Sample
from geoprose.data.records import IMAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.core.types import JsonValue


@dataclass(frozen=True)
class Picture:
    """What the questions about a picture have in common.

    Attributes:
        id: Unique within its split.
        images: Paths relative to the data set's folder, the earlier date first.
        split: Split of the picture.
        meta: Keys of docs/reference/sample-meta.md that hold for every question about it.
    """

    id: str
    images: tuple[str, ...]
    split: str
    meta: Mapping[str, JsonValue] = field(default_factory=dict)

    def ask(self, kind: str, question: str, answers: Sequence[str], part: str = "", **meta: JsonValue) -> Sample:
        """Return a question about the picture.

        Args:
            kind: Question type.
            question: The bare question; the task's prompt adds its own words.
            answers: Every accepted answer, the canonical one first. Reference sentences that repeat are kept: published
                caption metrics count each of them.
            part: What tells this question from the others about the picture; it ends the sample's id.
            meta: Further keys; None leaves a key out.
        """
        known = {key: value for key, value in {**self.meta, **meta}.items() if value is not None}
        marks = f"{IMAGE_MARK}\n" * len(self.images)
        return Sample(
            id=f"{self.id}-{part}" if part else self.id,
            images=self.images,
            messages=(Message("user", f"{marks}{question.strip()}"), Message("assistant", answers[0])),
            task=kind,
            split=self.split,
            meta={"answers": json_list(answers), **known},
        )


def json_list(values: Sequence[JsonValue]) -> list[JsonValue]:
    """Return a list that the type checker takes as a JSON value."""
    return [*values]


def spellings(words: str, published: str) -> list[str]:
    """Return a class name as words and as published; one of them where they are the same."""
    return list(dict.fromkeys([words, published]))
