"""What a task is: which samples, how each question type is scored, what the overall figure covers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt, model_validator

from geoprose.core.errors import PresetError, TaskError
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import Spec, read_yaml, validate

TASKS_DIR = Path(__file__).parent.parent / "presets" / "tasks"
BaselineName = Literal["shuffled", "majority", "majority_per_question", "colour", "probe", "blind"]
Answering = Literal["generate", "likelihood", "contrastive", "retrieval", "dense"]


class QuestionType(Spec):
    """How the questions of one type are scored: by a protocol with its variants, or by one metric alone."""

    protocol: str = ""
    """Name of a protocol; its default variant is the score, the others stand beside it."""
    metric: str = ""
    """Name in the table of metrics, for a task of our own that no published script scores."""
    is_closed: bool = True
    """Whether the possible answers are those seen in training; an answer outside them counts as unparsable."""
    chance: str = ""
    """What a guess reaches, in words, for the report."""

    @model_validator(mode="after")
    def _check_one(self) -> QuestionType:
        if bool(self.protocol) == bool(self.metric):
            raise ValueError("name a protocol or a metric, and not both")
        return self


class ReaderSpec(Spec):
    """Where the samples come from."""

    type: str = "neutral"
    """Name in the table of readers."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the reader."""


class PromptSpec(Spec):
    """How a question is put to the system."""

    template: str = "{question}"
    """The words around the question; ``{question}``, ``{options}`` and ``{labels}`` are filled in."""
    system: str = ""
    """System message; the system's own when empty."""
    shots: NonNegativeInt = 0
    """Solved examples of the training split before each question."""
    is_multi_turn: bool = False
    """Whether earlier turns of a conversation stay in the prompt, with the system's own answers."""


class TaskSpec(Spec):
    """A task as its YAML states it."""

    name: str
    """Name that the command line takes."""
    version: PositiveInt = 1
    """Raised whenever a number could change."""
    title: str
    """Heading of the report."""
    description: str
    """What is asked, about what, and what a good score means."""
    source: str
    """Where the task comes from."""
    reader: ReaderSpec = ReaderSpec()
    """Where the samples come from."""
    split: str = "test"
    """Split to answer."""
    train_split: str = "train"
    """Split that baselines may learn from and solved examples are taken from."""
    prompt: PromptSpec = PromptSpec()
    """How a question is put."""
    answering: Answering = "generate"
    """How an answer is made: written, the likeliest option, the nearest label, a ranking, or a map of classes."""
    box_codec: str = "geoprose"
    """Box format of the reference answers, where a sample's meta holds no boxes in pixels."""
    types: dict[str, QuestionType]
    """Question types by name; samples of other types are left out and counted, or scored as ``other``."""
    other: QuestionType | None = None
    """How questions of types not listed are scored; each keeps its own name."""
    overall: tuple[str, ...] = ()
    """Question types in the overall figure: the mean over their questions, each question counting the same; all types
    when empty."""
    aggregates: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Further named means over question types, reported beside the overall figure."""
    overall_note: str = ""
    """Why the other types are beside the overall figure and not in it."""
    baselines: tuple[BaselineName, ...] = ("shuffled", "majority", "majority_per_question")
    """Baselines that are always computed; ``blind`` joins them when a blind system is given."""
    max_new_tokens: PositiveInt = 48
    """Longest answer."""
    examples_per_type: PositiveInt = 3
    """Right and wrong examples of each type in the report."""

    def question_type(self, name: str) -> QuestionType:
        """Return how the questions of a type are scored.

        Raises:
            TaskError: If the task scores no such questions.
        """
        chosen = self.types.get(name, self.other)
        if chosen is None:
            raise TaskError(f"Task {self.name} has no question type {name!r}; it has {', '.join(self.types)}.")
        return chosen


@cache
def list_tasks() -> tuple[str, ...]:
    """Return the names of the built-in tasks, sorted."""
    return tuple(sorted(path.stem for path in TASKS_DIR.glob("*.yaml")))


def load_task(name: str | Path) -> TaskSpec:
    """Load a built-in task by name, or any task by the path of its YAML file.

    Raises:
        PresetError: If the name is unknown; close names are listed.
        ConfigError: If the YAML is wrong.
    """
    path = Path(name) if str(name).endswith((".yaml", ".yml")) else TASKS_DIR / f"{name}.yaml"
    if path.parent == TASKS_DIR and path.stem not in list_tasks():
        raise PresetError(unknown_name_message("task", str(name), list_tasks()))
    task = validate(TaskSpec, read_yaml(path), path.name)
    named = {"overall": task.overall, **task.aggregates}
    for aggregate, types in named.items():
        if missing := sorted(set(types) - set(task.types)):
            raise PresetError(f"{path.name}: {aggregate} names {', '.join(missing)}, which types does not define.")
    return task
