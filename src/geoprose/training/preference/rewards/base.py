"""What every reward takes, and the sum of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError
from geoprose.core.types import Sample
from geoprose.training.preference.rewards import REWARDS

if TYPE_CHECKING:
    from PIL.Image import Image

    from geoprose.answers.frames import Geometry
    from geoprose.training.specs.rewards import RewardSpec


@dataclass(frozen=True)
class Frame:
    """What an answer is about, and how it writes boxes.

    Attributes:
        codec: Name of the box format.
        geometry: How the picture became the model's input, or its width and height in pixels.
        pictures: The pictures, for rewards that look at them.
    """

    codec: str
    geometry: Geometry
    pictures: tuple[Image, ...] = ()


Reward = Callable[[str, Sample, Frame, Any], float]
"""Prediction, sample, frame and the reward's spec to a number."""


def score(spec: RewardSpec, prediction: str, sample: Sample, frame: Frame) -> float:
    """Return what a reward gives, its weight left out.

    Raises:
        DataError: If the sample lacks what the reward compares with.
    """
    return REWARDS.get(spec.type)(prediction, sample, frame, spec)


def total(specs: Sequence[RewardSpec], prediction: str, sample: Sample, frame: Frame) -> float:
    """Return the weighted sum of rewards."""
    return sum(spec.weight * score(spec, prediction, sample, frame) for spec in specs)


def accepted_answers(sample: Sample) -> list[str]:
    """Return every right answer of a sample: its last turn and ``meta["answers"]``.

    Raises:
        DataError: If there is none.
    """
    spoken = [message.text for message in sample.messages[-1:] if message.role == "assistant"]
    listed = sample.meta.get("answers")
    found = [*spoken, *(str(answer) for answer in (listed if isinstance(listed, list) else []))]
    if not found:
        raise DataError(
            f"Sample {sample.id} has no right answer to reward: end it with the answer, or give meta.answers."
        )
    return found
