"""From the rows of a file to items: types, references, duplicates, missing answers, all counted.

The file is read twice: once to learn which rows count and which answers a closed type has, once to make the items.
Nothing of the first reading is kept but a few bytes for each row.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from geoprose.core.errors import TaskError
from geoprose.evaluation.score.choices import choices_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoprose.evaluation.layouts.base import PredictionRow
    from geoprose.evaluation.layouts.open import PredictionFile
    from geoprose.evaluation.score.request import Keep
    from geoprose.evaluation.score.truth import Truth
    from geoprose.evaluation.tasks import TaskSpec

SHOWN = 5
"""Identifiers that a message names."""

UNTYPED = "untyped"
"""Type of rows that name none, in a task of several types that scores others too."""

TYPE_ALIASES = {"comparison": "comp", "rural/urban": "rural_urban", "rural_urban": "rural/urban"}
"""Spellings of one published question type, tried where the task does not know a name."""


TRUTH_KEYS = frozenset({"boxes", "mask", "polygons", "objects"})
"""Keys of a row's meta that hold the right answer where it is no text."""


@dataclass
class Counts:
    """What happened to the rows of a file.

    Attributes:
        rows: Rows in the file.
        repeated: Rows left out because an equal answer of the same identifier counts.
        conflicting: Rows left out because another answer of the same identifier was kept on request.
        missing: Right answers without a prediction; they count as wrong.
        unknown: Rows whose identifier the right answers do not have; left out.
        skipped_types: Rows of question types that the task does not score, by type.
        examples: First identifiers of each kind.
    """

    rows: int = 0
    repeated: int = 0
    conflicting: int = 0
    missing: int = 0
    unknown: int = 0
    skipped_types: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def note(self, kind: str, identifier: str) -> None:
        """Remember an identifier as an example of a kind, up to a few."""
        shown = self.examples.setdefault(kind, [])
        if len(shown) < SHOWN:
            shown.append(identifier)


class Intake:
    """Reads the rows of one file for one task.

    Args:
        task: Which question types are scored.
        file: The predictions.
        truth: Right answers from elsewhere; None where the file holds them.
        keep: What to do with different answers under one identifier.
    """

    def __init__(self, task: TaskSpec, file: PredictionFile, truth: Truth | None, keep: Keep) -> None:
        self._task, self._file, self._truth, self._keep = task, file, truth, keep
        self.counts = Counts()
        self.choices: dict[str, frozenset[str]] = {}
        self.types: list[str] = []
        self._dropped: set[int] = set()
        self._missing: list[str] = []

    def survey(self) -> None:
        """Read the file once: find the rows that count, the types, and the answers of closed types.

        Raises:
            TaskError: If rows lack references, identifiers repeat with different answers, or nothing can be scored.
        """
        first: dict[int, int] = {}
        answers = array("q")
        conflicts, without = Counter[str](), Counter[str]()
        choices: dict[str, set[str]] = {}
        for place, row in enumerate(self._file.rows()):
            self.counts.rows += 1
            answers.append(hash(row.prediction))
            resolved = self._resolve(row, is_counted=True)
            if resolved is None:
                continue
            if self._is_repeat(first, answers, place, resolved):
                conflicts[resolved.id] += 1
            if not resolved.references and TRUTH_KEYS.isdisjoint(resolved.meta):
                without[resolved.id] += 1
            self._learn(choices, resolved)
        self._refuse(conflicts, without)
        self._find_missing(first)
        self.choices = {name: frozenset(found) for name, found in choices.items() if found}
        self.types = [name for name in dict.fromkeys([*self._task.types, *choices]) if name in choices]
        if not choices:
            self._fail_nothing()

    def rows(self) -> Iterator[tuple[PredictionRow, bool]]:
        """Read the file again: yield every row that counts, complete, then the missing ones with an empty answer.

        Yields:
            A row, and whether the file has it.
        """
        for place, row in enumerate(self._file.rows()):
            resolved = None if place in self._dropped else self._resolve(row)
            if resolved is not None:
                yield resolved, True
        for identifier in self._missing:
            resolved = self._resolve(self._truth.rows[identifier]) if self._truth else None
            if resolved is not None:
                yield resolved, False

    def _resolve(self, row: PredictionRow, is_counted: bool = False) -> PredictionRow | None:
        """Complete a row with the truth and the task's name of its type; None when it is not scored."""
        complete = row if self._truth is None else self._truth.complete(row)
        if complete is None:
            if is_counted:
                self.counts.unknown += 1
                self.counts.note("unknown", row.id)
            return None
        name = self._type(complete.type)
        if name in self._task.types or self._task.other is not None:
            return complete if name == complete.type else replace(complete, type=name)
        if is_counted:
            self.counts.skipped_types[name] += 1
        return None

    def _type(self, written: str) -> str:
        types = self._task.types
        if not written:
            return next(iter(types)) if len(types) == 1 else UNTYPED
        if written not in types and TYPE_ALIASES.get(written) in types:
            return TYPE_ALIASES[written]
        return written

    def _is_repeat(self, first: dict[int, int], answers: array[int], place: int, row: PredictionRow) -> bool:
        """Note a row whose identifier was seen before; return whether its answer differs."""
        key = hash((row.type, row.id))
        before = first.setdefault(key, place)
        if before == place:
            return False
        differs = answers[before] != answers[place]
        dropped = before if differs and self._keep == "last" else place
        if dropped == before:
            first[key] = place
        self._dropped.add(dropped)
        self.counts.note("conflicting" if differs else "repeated", row.id)
        if differs:
            self.counts.conflicting += 1
        else:
            self.counts.repeated += 1
        return differs

    def _learn(self, choices: dict[str, set[str]], row: PredictionRow) -> None:
        spec = self._task.question_type(row.type)
        known = choices.setdefault(row.type, set())
        if spec.is_closed:
            known.update(choices_in(spec, row.references))

    def _find_missing(self, first: dict[int, int]) -> None:
        for row in self._truth.rows.values() if self._truth else ():
            resolved = self._resolve(row)
            if resolved is not None and hash((resolved.type, resolved.id)) not in first:
                self._missing.append(row.id)
                self.counts.note("missing", row.id)
        self.counts.missing = len(self._missing)

    def _refuse(self, conflicts: Counter[str], without: Counter[str]) -> None:
        name = self._file.path.name
        if conflicts and not self._keep:
            raise TaskError(
                f"{name} has {len(conflicts)} identifiers with several different answers (first: "
                f"{', '.join(list(conflicts)[:SHOWN])}). Remove all but one of each, or pass --keep first or last."
            )
        if without:
            raise TaskError(
                f"{name} holds no right answer for {sum(without.values())} rows (first: "
                f"{', '.join(list(without)[:SHOWN])}). Give them with --references FILE or --data DIR."
            )

    def _fail_nothing(self) -> None:
        counts, types = self.counts, ", ".join(self._task.types)
        if counts.unknown == counts.rows:
            where = self._truth.where if self._truth else ""
            raise TaskError(
                f"None of the {counts.rows} identifiers of {self._file.path.name} is in {where} (first: "
                f"{', '.join(counts.examples['unknown'])}). Give the references of the same questions."
            )
        found = ", ".join(sorted(counts.skipped_types)) or "none"
        raise TaskError(
            f"{self._file.path.name} has no row of the types {types} of task {self._task.name}; its types are {found}. "
            "Choose the task that fits them."
        )
