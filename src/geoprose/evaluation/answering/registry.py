"""The table of ways to answer; a task's YAML names one under ``answering``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError, TaskError
from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.evaluation.answering.base import Answering
    from geoprose.evaluation.tasks import TaskSpec

ANSWERINGS: Registry[type[Answering]] = Registry(
    slot="way_of_answering",
    table={
        "generate": "geoprose.evaluation.answering.generate:Generate",
        "likelihood": "geoprose.evaluation.answering.likelihood:RankOptions",
        "contrastive": "geoprose.evaluation.answering.contrastive:NearestLabel",
        "retrieval": "geoprose.evaluation.answering.retrieval:Retrieve",
        "dense": "geoprose.evaluation.answering.dense:DrawMask",
    },
)


WITHOUT_CONVERSATION = ("contrastive", "retrieval", "dense")
"""Ways that see one question and nothing before it."""


def build_answering(task: TaskSpec) -> Answering:
    """Build the way in which a task is answered.

    Raises:
        ConfigError: If it does not take the task's ``answering_options``.
        TaskError: If it cannot show what the prompt asks for.
    """
    chosen: Any = ANSWERINGS.get(task.answering)
    prompt = task.prompt
    if task.answering in WITHOUT_CONVERSATION and (prompt.shots or prompt.is_multi_turn or prompt.system):
        raise TaskError(
            f"Task {task.name} is answered by {task.answering}, which sees one question and nothing before it: no "
            "solved examples, no earlier turns, no system message. Leave them out, or answer by 'generate' or "
            "'likelihood'."
        )
    try:
        way: Answering = chosen(**task.answering_options)
    except TypeError as error:
        raise ConfigError(
            f"Task {task.name}: answering by {task.answering} does not take {task.answering_options}: {error}."
        ) from error
    return way
