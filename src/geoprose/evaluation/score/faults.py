"""Known faults of prediction files, counted while items pass: boxes off their scale, repeats, spellings, labels."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from geoprose.answers.codecs import get_codec, read_boxes
from geoprose.evaluation.metrics.normalise import normalise_answer

if TYPE_CHECKING:
    from geoprose.evaluation.metrics.base import Item

SHOWN = 3
MAX_DISTINCT = 20_000
"""Different texts of one type that are counted; later ones are not."""
COLLAPSE = 0.15
"""How much more frequent than among the references the commonest answer may be."""
FEW = 20
"""Answers below which frequencies say nothing."""


@dataclass(frozen=True)
class ScoreWarning:
    """One thing that the reader of a score must know.

    Attributes:
        kind: Short name.
        message: One sentence with the numbers.
        count: Answers concerned.
        of: Answers looked at.
        examples: A few of them.
        type: Question type; empty when it concerns the file.
    """

    kind: str
    message: str
    count: int
    of: int
    examples: tuple[str, ...] = ()
    type: str = ""

    def of_type(self, name: str) -> ScoreWarning:
        """Return the warning as one about a question type."""
        return replace(self, type=name)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the warning."""
        return {
            "kind": self.kind,
            "type": self.type,
            "message": self.message,
            "count": self.count,
            "of": self.of,
            "examples": list(self.examples),
        }


class Watch(Protocol):
    """Looks at the items of one question type as they pass."""

    def see(self, item: Item) -> None:
        """Look at the next item."""
        ...

    def found(self) -> list[ScoreWarning]:
        """Return what was found, after the last item."""
        ...


@dataclass
class BoxWatch:
    """Boxes over their scale, reversed, outside, or on 0..1 where adding one to a side is wrong."""

    _n: int = 0
    _with_boxes: int = 0
    _unit: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, list[str]] = field(default_factory=dict)

    def see(self, item: Item) -> None:
        """Read the boxes of the answer again and note what was odd about them."""
        if "boxes" not in item.meta and not _reads_boxes(item):
            return
        self._n += 1
        boxes, problems = read_boxes(item.prediction, item.codec, item.geometry or item.size_px or (1000, 1000))
        kinds = {_kind(problem.kind, problem.message) for problem in problems} & _BOX_MESSAGES.keys()
        self._counts.update(kinds)
        for kind in kinds:
            self._examples.setdefault(kind, []).append(item.prediction[:80])
            del self._examples[kind][SHOWN:]
        self._with_boxes += bool(boxes)
        self._unit += bool(boxes) and get_codec(item.codec).scale == 1.0

    def found(self) -> list[ScoreWarning]:
        """Return a warning for each kind of fault."""
        warnings = [
            ScoreWarning(f"boxes-{kind}", text.format(n=self._counts[kind]), self._counts[kind], self._n, tuple(shown))
            for kind, text in _BOX_MESSAGES.items()
            if (shown := self._examples.get(kind))
        ]
        if self._unit:
            text = (
                f"{self._unit} answers have boxes on a scale of 0 to 1. A script that adds 1 to the sides of boxes "
                "(LHRS-Bot main_vg.py) matches random boxes on that scale in about 30 % of cases; its figures do not "
                "compare with these."
            )
            warnings.append(ScoreWarning("boxes-unit-scale", text, self._unit, self._n))
        return warnings


_BOX_MESSAGES = {
    "over-scale": "{n} answers have boxes over the scale of their format; those boxes are not read. Is --codec right?",
    "outside": "{n} answers have boxes that pass the edge of the picture.",
    "reversed": "{n} answers have boxes with reversed corners; they were put in order.",
    "empty": "{n} answers have boxes without area.",
    "broken": "{n} answers have something like a box that could not be read.",
}


def _kind(kind: str, message: str) -> str:
    if kind == "range":
        return "outside" if "passes the edge" in message else "over-scale"
    return {"order": "reversed", "empty": "empty"}.get(kind, "broken")


def _reads_boxes(item: Item) -> bool:
    reference = item.references[0] if item.references else ""
    if not any(character in reference for character in "[{<("):
        return False
    return bool(read_boxes(reference, item.reference_codec, item.size_px or (1000, 1000))[0])


@dataclass
class RepeatWatch:
    """References that repeat for one item, empty answers, one answer given again and again."""

    _n: int = 0
    _empty: int = 0
    _with_repeats: int = 0
    _with_several: int = 0
    _answers: Counter[str] = field(default_factory=Counter)
    _truths: Counter[str] = field(default_factory=Counter)

    def see(self, item: Item) -> None:
        """Count the answer and its references."""
        self._n += 1
        self._empty += not item.prediction.strip()
        if len(item.references) > 1:
            self._with_several += 1
            self._with_repeats += len(set(item.references)) < len(item.references)
        _count(self._answers, normalise_answer(item.prediction))
        for reference in {normalise_answer(reference) for reference in item.references}:
            _count(self._truths, reference)

    def found(self) -> list[ScoreWarning]:
        """Return a warning for each of the three."""
        warnings = []
        if self._empty:
            text = f"{self._empty} answers are empty; they count as wrong and stay in the denominator."
            warnings.append(ScoreWarning("empty-answers", text, self._empty, self._n))
        if self._with_repeats:
            text = (
                f"{self._with_repeats} of {self._with_several} items with several references repeat one of them; "
                "CIDEr weights a repeated reference twice."
            )
            warnings.append(ScoreWarning("repeated-references", text, self._with_repeats, self._with_several))
        if self._n >= FEW:
            answer, count = self._answers.most_common(1)[0]
            share, true_share = count / self._n, self._truths[answer] / self._n
            if answer and share - true_share > COLLAPSE:
                text = (
                    f'"{answer[:60]}" is the answer in {share:.0%} of the rows and right in {true_share:.0%} of them.'
                )
                warnings.append(ScoreWarning("one-answer", text, count, self._n, (answer[:60],)))
        return warnings


@dataclass
class LabelWatch:
    """Answers of a closed type that no question has, and class names that differ only by case, space or signs."""

    _n: int = 0
    _unknown: int = 0
    _labels: Counter[str] = field(default_factory=Counter)
    _spellings: dict[str, Counter[str]] = field(default_factory=dict)

    def see(self, item: Item) -> None:
        """Compare the answer with the answers that the type has."""
        if not item.choices:
            return
        self._n += 1
        label = normalise_answer(item.prediction)
        if label and label not in item.choices:
            self._unknown += 1
            _count(self._labels, label)
        for written in (item.prediction.strip(), *item.references):
            key = _squashed(written)
            if key in self._spellings or len(self._spellings) < MAX_DISTINCT:
                _count(self._spellings.setdefault(key, Counter()), normalise_answer(written))

    def found(self) -> list[ScoreWarning]:
        """Return a warning for each of the two."""
        warnings = []
        if self._unknown:
            shown = tuple(f"{label[:40]} ({count})" for label, count in self._labels.most_common(SHOWN))
            text = f"{self._unknown} answers are none of the answers that these questions have."
            warnings.append(ScoreWarning("unknown-labels", text, self._unknown, self._n, shown))
        several = {key: found for key, found in self._spellings.items() if key and len(found) > 1}
        if several:
            shown = tuple(" / ".join(sorted(found)) for found in list(several.values())[:SHOWN])
            text = (
                f"{len(several)} names are written in several ways that differ only by spaces and signs. Exact "
                "comparison tells them apart; some published scripts do not."
            )
            warnings.append(ScoreWarning("spellings", text, len(several), self._n, shown))
        return warnings


def _squashed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _count(counter: Counter[str], key: str) -> None:
    if key in counter or len(counter) < MAX_DISTINCT:
        counter[key] += 1
