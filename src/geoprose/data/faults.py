"""The faults that a data check knows, and the report it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULTS: Mapping[str, str] = {
    "bad_record": "the record cannot be read",
    "duplicate_id": "two records have the same id",
    "missing_image": "the image file does not exist",
    "unreadable_image": "the image is truncated, corrupt or not a picture",
    "image_outside": "the image path is absolute or leaves the data set's folder",
    "image_count": "the number of <image> marks differs from the number of images",
    "empty_question": "a user turn has no words",
    "empty_answer": "an assistant turn is empty, or there is none",
    "duplicate_question": "the same question about the same images, with the same answer",
    "conflicting_answers": "the same question about the same images, with different answers",
    "box_out_of_scale": "a box passes the edge of its scale, or is on another scale",
    "angle_over_360": "a box has an angle of more than a full turn",
    "unreadable_box": "something looks like a box and cannot be read",
    "odd_box": "a box has reversed corners or no area",
    "georef_without_crs": "a georeference has no coordinate reference system",
    "georef_bad_crs": "PROJ does not know the coordinate reference system, or the footprint has no place in it",
    "georef_size": "the georeference is for a picture of another size",
    "leak_path": "the same image file is in two splits",
    "leak_content": "two files with the same pixels are in two splits",
    "leak_footprint": "two images of the same ground are in two splits",
}
"""Kinds of fault in the order of the report, and what each one means."""


@dataclass(frozen=True)
class Fault:
    """All findings of one kind.

    Attributes:
        kind: Key of ``FAULTS``.
        count: How often it was found.
        examples: The first findings, each naming its place.
    """

    kind: str
    count: int
    examples: tuple[str, ...]

    @property
    def meaning(self) -> str:
        """What the kind stands for."""
        return FAULTS[self.kind]


@dataclass(frozen=True)
class CheckReport:
    """What a data check found.

    Attributes:
        path: What was checked.
        num_samples: Readable records.
        num_images: Distinct image paths.
        splits: Records per split; the empty name stands for none.
        faults: One entry per kind that was found.
    """

    path: str
    num_samples: int
    num_images: int
    splits: Mapping[str, int]
    faults: tuple[Fault, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "path": self.path,
            "is_clean": self.is_clean,
            "num_samples": self.num_samples,
            "num_images": self.num_images,
            "splits": dict(self.splits),
            "faults": [
                {"kind": fault.kind, "count": fault.count, "meaning": fault.meaning, "examples": list(fault.examples)}
                for fault in self.faults
            ],
        }


@dataclass
class Findings:
    """Collects findings; keeps the first ``max_examples`` of each kind."""

    max_examples: int = 5
    _counts: dict[str, int] = field(default_factory=dict)
    _examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        """Count one finding of ``kind``, a key of ``FAULTS``."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        kept = self._examples.setdefault(kind, [])
        if len(kept) < self.max_examples:
            kept.append(example)

    def faults(self) -> tuple[Fault, ...]:
        """Return the findings in the order of ``FAULTS``."""
        return tuple(
            Fault(kind, self._counts[kind], tuple(self._examples[kind])) for kind in FAULTS if kind in self._counts
        )
