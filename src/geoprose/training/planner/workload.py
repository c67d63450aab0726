"""What a row of a stage holds: pictures, tokens, answers; assumptions where the data has not been looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoprose.training.specs.stage import StageSpec


@dataclass(frozen=True)
class Workload:
    """What one sample is taken to be; every figure of a plan rests on it.

    Attributes:
        text_tokens: Tokens of a sample beside its picture, prompt and answer together.
        answer_tokens: How many of them are learnt.
        pictures: Pictures of a sample.
        picture_px: Width and height; None for a picture of the system's own size.
        samples: Different samples that a stage holds, for the size of its feature cache; None: what its steps visit,
            each once.
    """

    text_tokens: int = 128
    answer_tokens: int = 64
    pictures: int = 1
    picture_px: tuple[int, int] | None = None
    samples: int | None = None


@dataclass(frozen=True)
class RowShape:
    """One row as the language model reads it.

    Attributes:
        tokens: All tokens.
        answers: Tokens that a head scores.
        pictures: Pictures shown.
        samples: Samples that the row holds; more than one where samples are packed or an answer is paired.
    """

    tokens: int
    answers: int
    pictures: float
    samples: float


def row_shape(stage: StageSpec, workload: Workload, visual_tokens: int) -> RowShape:
    """Return the row of a stage.

    Args:
        stage: Its ``packing`` and ``max_row_tokens`` say how many samples share a row.
        workload: What a sample is.
        visual_tokens: Tokens of one picture.
    """
    sample = workload.pictures * visual_tokens + workload.text_tokens
    if stage.packing == "packed" and stage.max_row_tokens:
        samples = max(1.0, stage.max_row_tokens / sample)
        return RowShape(
            max(stage.max_row_tokens, sample),
            round(samples * workload.answer_tokens),
            samples * workload.pictures,
            samples,
        )
    answers = 2 if any(loss.type in PAIRED_ANSWERS for loss in stage.losses) else 1
    return RowShape(answers * sample, answers * workload.answer_tokens, float(workload.pictures), 1.0)


PAIRED_ANSWERS = ("dpo", "mpo", "kto", "reward_pairs")
"""Losses whose rows hold two answers, each behind its own copy of the prompt."""
