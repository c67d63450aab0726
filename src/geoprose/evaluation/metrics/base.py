"""What every metric takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.answers.frames import Geometry
    from geoprose.core.types import JsonValue


@dataclass(frozen=True, slots=True)
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
        scores: What the system gave each option or label (log-likelihood or similarity), for ranked answers.
        codec: Box format of the prediction.
        reference_codec: Box format of ``references``, where ``meta`` holds no ``boxes``.
        meta: The sample's meta; docs/reference/sample-meta.md lists the keys that metrics read.
        root: Folder that paths in ``meta`` are relative to.
    """

    id: str
    prediction: str
    references: tuple[str, ...]
    size_px: tuple[int, int] | None = None
    geometry: Geometry | None = None
    choices: frozenset[str] = frozenset()
    scores: Mapping[str, float] = field(default_factory=dict)
    codec: str = "geoprose"
    reference_codec: str = "geoprose"
    meta: Mapping[str, JsonValue] = field(default_factory=dict)
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a metric says about one item.

    Attributes:
        score: 0 to 1 (captions: the metric's own scale); an unparsable answer scores 0 and stays in the denominator.
        is_parsed: False when the text could not be read as an answer of its type.
        label: What was read, for confusion matrices and reports.
        extras: Further per-item values, averaged into the report beside the score.
        truth: The right answer in the spelling of ``label``; empty where there is no single one. Where it is given, the
            confusion matrix and what is computed from it are reported.
    """

    score: float
    is_parsed: bool
    label: str
    extras: Mapping[str, float] = field(default_factory=dict)
    truth: str = ""


@dataclass(frozen=True)
class Judged:
    """The judgements of all items of one question type.

    Attributes:
        judgements: One per item, in order.
        corpus: Figures that exist only for the whole set, e.g. BLEU.
        tables: Larger results of the whole set, JSON values: per-class scores, reliability bins, curves.
        unavailable: Figures that could not be computed, and why, e.g. ``{"spice": "needs java"}``.
    """

    judgements: tuple[Judgement, ...]
    corpus: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, JsonValue] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)


class Metric(Protocol):
    """Judges the items of one question type.

    A metric takes its options as keyword arguments, each with a default: a protocol's variant names them.
    """

    name: str
    """What the score is called in the report, e.g. ``"accuracy"`` or ``"acc@0.5"``."""
    is_accuracy: bool
    """Whether the score lies in 0..1 and can be averaged with other types."""
    is_itemwise: bool
    """Whether each item is judged on its own: such a metric may be given a long list in pieces."""

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge ``items``; the result has one judgement per item, in order."""
        ...
