"""From samples to the questions that a system is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.types import Message
from geoprose.evaluation.answering.base import Question
from geoprose.evaluation.answering.prompts import PromptWriter, labels_by_type
from geoprose.evaluation.answering.shots import Shots, shot_messages
from geoprose.inference.features import picture_size
from geoprose.layout.resize import plan_resize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.answers.frames import Geometry
    from geoprose.core.types import Sample
    from geoprose.evaluation.predictions import ImageHashes
    from geoprose.evaluation.tasks import TaskSpec
    from geoprose.systems.build import System


@dataclass(frozen=True)
class Material:
    """What questions are made of.

    Attributes:
        task: The task.
        samples: Samples to ask about.
        train: Samples that solved examples are taken from.
        data_dir: Folder that image paths are relative to.
        hashes: Content of the pictures.
    """

    task: TaskSpec
    samples: Sequence[Sample]
    train: Sequence[Sample]
    data_dir: Path
    hashes: ImageHashes


class QuestionMaker:
    """Makes the questions of a task for one system.

    Args:
        material: Task, samples and pictures.
        system: Who is asked; regions are written in its box format.
    """

    def __init__(self, material: Material, system: System[Any]) -> None:
        task, train = material.task, material.train
        self._material = material
        self._system = system
        labels = labels_by_type(task, [*train, *material.samples])
        codec = getattr(system.spec, "box_format", task.box_codec)
        self._writer = PromptWriter(task, labels, codec, self._geometry)
        self._shots = Shots(task.prompt, train, material.hashes)

    @property
    def image_suffix(self) -> str:
        """What the system's prompt format writes behind a picture."""
        prompt = getattr(self._system.spec, "prompt", None)  # dual encoders and dense systems have none
        return "" if prompt is None else str(prompt.image_suffix)

    def make(self, sample: Sample, shown: Sequence[str]) -> Question:
        """Return the question of a sample.

        Args:
            sample: The sample.
            shown: The pictures that are shown for its own.

        Raises:
            TaskError: If the prompt asks for something that the sample does not have.
        """
        examples = self._shots.of(sample)
        pictures = [image for example in examples for image in example.images] + list(shown)
        system_text = self._material.task.prompt.system
        history = [Message("system", system_text)] if system_text else []
        history += shot_messages(examples, self._writer, self.image_suffix)
        return Question(
            sample,
            tuple(self._material.data_dir / image for image in pictures),
            self._writer.text(sample),
            self._writer.options(sample),
            tuple(history),
            tuple(example.id for example in examples),
        )

    def _geometry(self, sample: Sample) -> Geometry:
        georef = sample.georefs[0] if sample.georefs else None
        size = sample.meta.get("size_px")
        if georef is not None:
            width, height = georef.width_px, georef.height_px
        elif isinstance(size, list):
            width, height = (int(str(side)) for side in size)
        else:
            width, height = picture_size(self._material.data_dir / sample.images[0])
        resolution = self._system.spec.resolution
        return plan_resize(width, height, getattr(resolution, "mode", "resize"), resolution.image_size)


def rendered_example(material: Material, system: System[Any]) -> str:
    """Return the whole text of the first question, chat template, solved examples and all, as the system reads it.

    Of a system without a language model: the bare question.
    """
    from geoprose.inference.generate import Request
    from geoprose.inference.shared_prefix import messages_of
    from geoprose.processing.prompt import render

    first = material.samples[0]
    question = QuestionMaker(material, system).make(first, first.images)
    if not hasattr(system.spec, "language_model"):
        return question.text
    request = Request(question.images, question.text, question.history)
    return render(messages_of(system, request), system.processor.prompt_format, add_generation_prompt=True).text
