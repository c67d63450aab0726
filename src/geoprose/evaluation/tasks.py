"""What a task is: which samples, how each question type is scored, what the overall figure covers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from geoprose.core.errors import PresetError
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import Spec, read_yaml, validate

TASKS_DIR = Path(__file__).parent.parent / "presets" / "tasks"
BaselineName = Literal["shuffled", "majority", "majority_per_question", "colour", "probe", "blind"]


class QuestionType(Spec):
    """How the questions of one type are scored."""

    metric: str
    """Name in the table of metrics."""
    is_closed: bool = True
    """Whether the possible answers are those seen in training; an answer outside them counts as unparsable."""
    chance: str = ""
    """What a guess reaches, in words, for the report."""


class TaskSpec(Spec):
    """A task as its YAML states it."""

    name: str
    """Name that the command line takes."""
    title: str
    """Heading of the report."""
    description: str
    """What is asked, about what, and what a good score means."""
    source: str
    """Where the protocol comes from."""
    split_file: str = "test.jsonl"
    """Samples to answer, inside the data directory."""
    train_file: str = "train.jsonl"
    """Samples that baselines may learn from."""
    box_codec: str = "geoprose"
    """Box format of the reference answers."""
    types: dict[str, QuestionType]
    """Question types by name; samples of other types are left out and counted."""
    overall: tuple[str, ...]
    """Question types in the overall figure: the mean over their questions, each question counting the same."""
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
