"""Known faults of prediction files, counted while items pass: repeats, empty answers, spellings, labels."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from geoprose.answers.normalise import normalise_answer

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
    """Answers of a closed type that no question has, and right ones that differ by case, spaces and signs only."""

    _n: int = 0
    _unknown: int = 0
    _respelt: int = 0
    _labels: Counter[str] = field(default_factory=Counter)
    _spellings: Counter[str] = field(default_factory=Counter)

    def see(self, item: Item) -> None:
        """Compare the answer with the answers that the type has, and with the right ones."""
        if not item.choices:
            return
        self._n += 1
        label = normalise_answer(item.prediction)
        if label and label not in item.choices:
            self._unknown += 1
            _count(self._labels, label)
        if not label or label in {normalise_answer(reference) for reference in item.references}:
            return
        squashed = _squashed(label)
        meant = next((reference for reference in item.references if _squashed(reference) == squashed), None)
        if meant is not None:
            self._respelt += 1
            _count(self._spellings, f"{item.prediction.strip()[:40]} / {meant[:40]}")

    def found(self) -> list[ScoreWarning]:
        """Return a warning for each of the two."""
        warnings = []
        if self._unknown:
            text = f"{self._unknown} answers are none of the answers that these questions have."
            shown = _commonest(self._labels)
            warnings.append(ScoreWarning("unknown-labels", text, self._unknown, self._n, shown))
        if self._respelt:
            text = (
                f"{self._respelt} answers differ from the right one by spaces and signs only. The comparison of words "
                "calls them wrong; some published scripts take spaces away first."
            )
            shown = _commonest(self._spellings)
            warnings.append(ScoreWarning("spellings", text, self._respelt, self._n, shown))
        return warnings


def _commonest(counter: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{text[:80]} ({count})" for text, count in counter.most_common(SHOWN))


def _squashed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _count(counter: Counter[str], key: str) -> None:
    if key in counter or len(counter) < MAX_DISTINCT:
        counter[key] += 1
