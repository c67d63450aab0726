"""What every metric takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.answers.frames import Geometry


@dataclass(frozen=True)
class Item:
    """One answered question, ready to be judged.

    Attributes:
        id: Identifier of the sample.
        prediction: Raw text of the system.
        references: Every accepted answer, the canonical one first.
        size_px: Width and height of the chip, for boxes; None when unknown.
        geometry: How the picture became the model's input, for box formats that count in its pixels; None for as it is.
        choices: Normalised answers that questions of this type can have, the union over the training split and the
            references; empty when the type is open.
    """

    id: str
    prediction: str
    references: tuple[str, ...]
    size_px: tuple[int, int] | None = None
    geometry: Geometry | None = None
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Judgement:
    """What a metric says about one item.

    Attributes:
        score: 0 to 1 (captions: the metric's own scale); an unparsable answer scores 0 and stays in the denominator.
        is_parsed: False when the text could not be read as an answer of its type.
        label: What was read, for confusion matrices and reports.
        extras: Further per-item values, averaged into the report beside the score.
    """

    score: float
    is_parsed: bool
    label: str
    extras: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """The judgements of all items of one question type.

    Attributes:
        judgements: One per item, in order.
        corpus: Figures that exist only for the whole set, e.g. BLEU.
    """

    judgements: tuple[Judgement, ...]
    corpus: Mapping[str, float] = field(default_factory=dict)


class Metric(Protocol):
    """Judges all items of one question type at once."""

    name: str
    """What the score is called in the report, e.g. ``"accuracy"`` or ``"acc@0.5"``."""
    is_accuracy: bool
    """Whether the score lies in 0..1 and can be averaged with other types."""

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge ``items``; the result has one judgement per item, in order."""
        ...
