"""Questions as TRL reads them, and the answers it samples as our rewards read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.records import IMAGE_MARK
from geoprose.training.pictures.images import read_picture
from geoprose.training.preference.rewards.base import Frame, score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from PIL.Image import Image

    from geoprose.core.types import Message, Sample
    from geoprose.training.specs.rewards import RewardSpec

INDEX = "question"
"""Column that says which question a row is."""


@dataclass(frozen=True)
class Questions:
    """The questions of a stage.

    Attributes:
        system: Model and processor that train.
        samples: Questions with their right answers.
        roots: Folder that each sample's pictures are relative to.
    """

    system: Any
    samples: Sequence[Sample]
    roots: Sequence[Path]

    def rows(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        """Return prompts and pictures of some questions; the transform of the data set that TRL reads."""
        indices = batch[INDEX]
        suffix = self.system.processor.prompt_format.image_suffix
        prompts = [chat(self.asked(index), suffix) for index in indices]
        rows: dict[str, list[Any]] = {"prompt": prompts, INDEX: indices}
        if any(sample.images for sample in self.samples):
            rows["images"] = [list(self.pictures(index)) for index in indices]
        return rows

    def asked(self, index: int) -> tuple[Message, ...]:
        """Return the turns of a question without the right answer."""
        messages = self.samples[index].messages
        return messages[:-1] if messages[-1].role == "assistant" else messages

    def pictures(self, index: int) -> tuple[Image, ...]:
        """Return the pictures of a question."""
        return tuple(read_picture(self.roots[index] / image) for image in self.samples[index].images)

    def frame(self, index: int, pictures: Sequence[Image]) -> Frame:
        """Return how an answer to a question writes boxes."""
        if not pictures:
            return Frame(self.system.spec.box_format, (1, 1))
        history = self.system.processor.image_processor.plan(*pictures[0].size).whole
        return Frame(self.system.spec.box_format, history, tuple(pictures))


def chat(messages: Sequence[Message], image_suffix: str) -> list[dict[str, Any]]:
    """Return messages with typed parts: the chat template writes a mark and ``image_suffix`` for each picture."""
    return [{"role": message.role, "content": _parts(message.text, image_suffix)} for message in messages]


def _parts(text: str, image_suffix: str) -> list[dict[str, str]]:
    first, *rest = text.split(IMAGE_MARK)
    parts = [{"type": "text", "text": first}] if first else []
    for piece in rest:
        parts.append({"type": "image"})
        if piece.removeprefix(image_suffix):
            parts.append({"type": "text", "text": piece.removeprefix(image_suffix)})
    return parts


def reward_functions(specs: Sequence[RewardSpec], questions: Questions) -> list[Callable[..., list[float]]]:
    """Return one function a reward, as TRL calls them; their names are the rewards' types."""
    names = [spec.type for spec in specs]
    if len(set(names)) != len(names):
        raise ConfigError(f"Each reward may be given once; the stage gives {', '.join(names)}.")
    return [_function(spec, questions) for spec in specs]


def _function(spec: RewardSpec, questions: Questions) -> Callable[..., list[float]]:
    def reward(completions: list[Any], images: list[Any] | None = None, **columns: Any) -> list[float]:
        found = []
        for place, (completion, index) in enumerate(zip(completions, columns[INDEX], strict=True)):
            pictures = images[place] if images is not None else ()
            frame = questions.frame(index, pictures or ())
            found.append(score(spec, completion[0]["content"].strip(), questions.samples[index], frame))
        return found

    reward.__name__ = spec.type
    return reward


def check_questions(questions: Questions, specs: Sequence[RewardSpec]) -> None:
    """Fail before the first step where a sample lacks what a reward compares with.

    Raises:
        DataError: If one does, or there is no question.
    """
    if not questions.samples:
        raise DataError("The stage has no question to answer.")
    for index in range(len(questions.samples)):
        for spec in specs:
            if spec.type != "reward_model":
                score(spec, "", questions.samples[index], Frame(questions.system.spec.box_format, (1, 1)))
