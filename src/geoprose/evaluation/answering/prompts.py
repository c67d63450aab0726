"""What a question looks like: the task's words around it, its options, its region in the system's box format."""

from __future__ import annotations

import string
from collections import defaultdict
from typing import TYPE_CHECKING

from geoprose.answers.codecs import format_boxes
from geoprose.core.errors import TaskError
from geoprose.evaluation.predictions import question_of, references_of
from geoprose.evaluation.tasks import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from geoprose.answers.frames import Geometry
    from geoprose.core.types import Sample
    from geoprose.evaluation.tasks import TaskSpec


def letter_of(place: int) -> str:
    """Return the letter of an option.

    Raises:
        TaskError: If there are more options than letters.
    """
    if place >= len(string.ascii_uppercase):
        raise TaskError(
            f"There are {place + 1} options and 26 letters; show them as {{labels}} instead of {{options}}."
        )
    return string.ascii_uppercase[place]


def labels_by_type(task: TaskSpec, samples: Sequence[Sample]) -> dict[str, tuple[str, ...]]:
    """Return the distinct first answers of each closed question type, sorted; ``task.labels`` where it has some."""
    found: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        spec = task.types.get(sample.task, task.other)
        if spec is not None and spec.is_closed:
            found[sample.task].add(references_of(sample)[0])
    return {name: task.labels or tuple(sorted(labels)) for name, labels in found.items()}


class PromptWriter:
    """Writes the questions of a task.

    Args:
        task: The task.
        labels: What there is to choose among per question type, where a sample's meta lists no options.
        box_codec: Box format of the system.
        geometry_of: How the system sees the picture of a sample, for regions; raises where its size is unknown.
    """

    def __init__(
        self,
        task: TaskSpec,
        labels: Mapping[str, Sequence[str]],
        box_codec: str,
        geometry_of: Callable[[Sample], Geometry],
    ) -> None:
        self._task = task
        self._labels = labels
        self._box_codec = box_codec
        self._geometry_of = geometry_of

    def options(self, sample: Sample) -> tuple[str, ...]:
        """Return what there is to choose among: ``meta.options`` in their order, else the labels of the type."""
        listed = sample.meta.get("options")
        if isinstance(listed, list) and listed:
            return tuple(str(option) for option in listed)
        return tuple(self._labels.get(sample.task, ()))

    def text(self, sample: Sample) -> str:
        """Return the question in the words of the task.

        Raises:
            TaskError: If the words ask for something that the sample's meta does not hold.
        """
        template = self._task.template_of(sample.task)
        if template == "{question}":
            return question_of(sample)
        # Why not str.format: questions and templates may hold braces of their own (boxes, JSON).
        return PLACEHOLDER.sub(lambda match: self._filled(match.group(1), sample), template).strip()

    def _filled(self, name: str, sample: Sample) -> str:
        if name == "question":
            return question_of(sample)
        if name == "labels":
            return ", ".join(self.options(sample))
        if name == "options":
            lines = enumerate(self.options(sample))
            return "\n".join(self._option_line(letter_of(place), option) for place, option in lines)
        value = sample.meta.get(name)
        if value is None:
            raise TaskError(
                f"The prompt of task {self._task.name} shows {{{name}}}, and {sample.id} has no meta.{name}."
            )
        if name == "region":
            return self._region(sample, value)
        return f"{value:g}" if isinstance(value, (int, float)) else str(value)

    def _option_line(self, letter: str, option: str) -> str:
        return self._task.prompt.option_format.replace("{letter}", letter).replace("{option}", option)

    def _region(self, sample: Sample, value: object) -> str:
        from geoprose.data.readers.objects import Thing, to_box

        if not isinstance(value, list) or len(value) not in (4, 8):
            raise TaskError(f"meta.region of {sample.id} is not a list of 4 or 8 numbers.")
        box = to_box(Thing(tuple(float(number) for number in value), ""))
        return format_boxes([box], self._box_codec, self._geometry_of(sample), rotated="hull")
