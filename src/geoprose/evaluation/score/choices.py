"""Which answers the questions of a closed type can have."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from geoprose.answers.normalise import normalise_answer, split_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from geoprose.evaluation.tasks import QuestionType, TaskSpec


def is_closed(task: TaskSpec, name: str) -> bool:
    """Return whether a task scores questions of a type and takes their answers to be a closed set."""
    spec = task.types.get(name, task.other)
    return spec is not None and spec.is_closed


def closed_choices(task: TaskSpec, answers: Iterable[tuple[str, Sequence[str]]]) -> dict[str, frozenset[str]]:
    """Return the normalised answers that the questions of each closed type can have.

    Args:
        task: Says how each type is scored.
        answers: Question type and accepted answers of each sample of a closed type.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for name, references in answers:
        found[name].update(choices_in(task.question_type(name), references))
    return {name: frozenset(choices) for name, choices in found.items()}


def choices_in(spec: QuestionType, references: Iterable[str]) -> list[str]:
    """Return the normalised answers that references of a closed type name."""
    if spec.metric == "list_f1":
        return [choice for answer in references for choice in split_list(answer)]
    return [normalise_answer(answer) for answer in references]
