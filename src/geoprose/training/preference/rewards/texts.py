"""Rewards of words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.answers.counts import read_count
from geoprose.answers.normalise import normalise_answer
from geoprose.core.errors import DataError
from geoprose.training.preference.rewards.base import Frame, accepted_answers

if TYPE_CHECKING:
    from geoprose.core.types import Sample
    from geoprose.training.specs.rewards import AnswerRewardSpec, CountRewardSpec, LengthRewardSpec


def answer_reward(prediction: str, sample: Sample, frame: Frame, spec: AnswerRewardSpec) -> float:
    """Return 1 where the answer is an accepted one after normalisation, else 0."""
    return float(normalise_answer(prediction) in {normalise_answer(answer) for answer in accepted_answers(sample)})


def count_reward(prediction: str, sample: Sample, frame: Frame, spec: CountRewardSpec) -> float:
    """Return 1 for the count of ``meta["count"]`` or of the right answer; an answer without one number gets 0.

    Raises:
        DataError: If the sample states no count.
    """
    stated, truth = read_count(prediction), _true_count(sample)
    if stated is None:
        return 0.0
    return float(stated == truth) if spec.kind == "exact" else max(0.0, 1.0 - abs(stated - truth) / max(1.0, truth))


def length_reward(prediction: str, sample: Sample, frame: Frame, spec: LengthRewardSpec) -> float:
    """Return 0 for a short answer, down to -1 for a long one."""
    over = (len(prediction.split()) - spec.free_words) / (spec.max_words - spec.free_words)
    return -min(1.0, max(0.0, over))


def _true_count(sample: Sample) -> float:
    given = sample.meta.get("count")
    truth = float(given) if isinstance(given, int | float) else read_count(accepted_answers(sample)[0])
    if truth is None:
        raise DataError(f"Sample {sample.id} states no count: give meta.count, or a right answer with one number.")
    return truth
