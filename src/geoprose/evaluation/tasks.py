"""What a task is: which samples, how each question type is scored, what the overall figure covers."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, NonNegativeInt, PositiveInt, model_validator

from geoprose.core.errors import PresetError, TaskError
from geoprose.core.preset_folder import PresetFolder
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import Spec, merge, read_yaml, validate

if TYPE_CHECKING:
    from pathlib import Path

TASKS = PresetFolder("tasks", "task")
BaselineName = Literal["shuffled", "majority", "majority_per_question", "colour", "probe", "blind"]
Answering = Literal["generate", "likelihood", "contrastive", "retrieval", "dense"]
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
PLACEHOLDERS = ("question", "options", "labels", "phrase", "region", "gsd_m")
"""What a prompt's template may ask to be filled in."""


def _checked_template(template: str) -> str:
    unknown = sorted(set(PLACEHOLDER.findall(template)) - set(PLACEHOLDERS))
    if unknown:
        raise ValueError(f"unknown placeholder {{{unknown[0]}}}; known are {', '.join(PLACEHOLDERS)}")
    return template


Template = Annotated[str, AfterValidator(_checked_template)]


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
    template: Template = ""
    """Words around the questions of this type; those of ``prompt.template`` when empty."""

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

    template: Template = "{question}"
    """The words around the question. Filled in: ``{question}``; ``{options}``, one lettered line per option;
    ``{labels}``, the same separated by commas; ``{phrase}``, ``{gsd_m}`` and ``{region}`` of the sample's meta, the
    region in the system's own box format."""
    option_format: str = "({letter}) {option}"
    """One line of ``{options}``."""
    system: str = ""
    """System message; the system's own when empty."""
    shots: NonNegativeInt = 0
    """Solved examples of the training split before each question, of the same question type."""
    are_shots_fixed: bool = True
    """Whether every question of a type gets the same examples; else each draws its own."""
    shot_seed: NonNegativeInt = 0
    """Seed of the choice of examples."""
    is_multi_turn: bool = False
    """Whether every turn of a conversation is asked, with the system's own earlier answers before it."""
    is_circular: bool = False
    """Whether a question with options is asked in every circular order of them; ``meta.group`` joins the orders."""


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
    answering_options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of that way, such as ``is_mean`` of ``likelihood`` or ``templates`` of ``contrastive``."""
    labels: tuple[str, ...] = ()
    """Labels to choose among where a sample's meta lists no options; the answers that occur when empty."""
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

    def answering_part(self) -> dict[str, Any]:
        """Return what the answers depend on: all but the scoring and the words for the report."""
        kept = ("reader", "split", "train_split", "prompt", "answering", "answering_options", "labels")
        values = self.model_dump(mode="json", include={*kept, "max_new_tokens"})
        types = {**self.types, "(other)": self.other} if self.other else self.types
        return values | {"templates": {name: spec.template for name, spec in types.items() if spec}}

    def template_of(self, name: str) -> str:
        """Return the words around the questions of a type."""
        return self.question_type(name).template or self.prompt.template

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
    """Return the names of the built-in tasks, sorted, without those that only others extend."""
    return TASKS.names()


def load_task(name: str | Path) -> TaskSpec:
    """Load a built-in task by name, or any task by the path of its YAML file.

    A task may say ``extends: NAME`` and then only what differs; it always has a name and a title of its own.

    Raises:
        PresetError: If the name is unknown (close names are listed), or tasks extend each other in a circle.
        ConfigError: If the YAML is wrong.
    """
    path = TASKS.find_or_path(name)
    task = validate(TaskSpec, _task_values(path, ()), path.name)
    named = {"overall": task.overall, **task.aggregates}
    for aggregate, types in named.items():
        if missing := sorted(set(types) - set(task.types)):
            raise PresetError(f"{path.name}: {aggregate} names {', '.join(missing)}, which types does not define.")
    return task


def _task_values(path: Path, children: tuple[str, ...]) -> dict[str, Any]:
    """Read a task's YAML and lay it over the one it extends."""
    if path.stem in children:
        raise PresetError(f"Tasks extend each other in a circle: {' -> '.join((*children, path.stem))}. Break it.")
    values = read_yaml(path)
    base = values.pop("extends", None)
    if base is None:
        return values
    beside = path.parent / f"{base}.yaml"
    base_path = beside if beside.is_file() else TASKS.path / f"{base}.yaml"
    if not base_path.is_file():
        known = sorted(found.stem for found in TASKS.path.glob("*.yaml"))
        raise PresetError(f"{path.name}: {unknown_name_message('task to extend', str(base), known)}")
    inherited = _task_values(base_path, (*children, path.stem))
    own = {key: value for key, value in inherited.items() if key not in ("name", "title")}
    return merge(own, values)
