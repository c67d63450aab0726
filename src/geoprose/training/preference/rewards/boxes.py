"""Rewards of boxes, horizontal and oriented."""

# P predicted boxes, R reference boxes

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoprose.answers.codecs import parse_answer
from geoprose.answers.counts import read_count
from geoprose.answers.iou import Outline, iou_table, outline_of
from geoprose.core.errors import DataError
from geoprose.training.preference.rewards.base import Frame, accepted_answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Sample
    from geoprose.training.specs.rewards import BoxIouRewardSpec, FormatRewardSpec


def box_iou_reward(prediction: str, sample: Sample, frame: Frame, spec: BoxIouRewardSpec) -> float:
    """Return the IoU of matched boxes over the larger number of boxes, 0 to 1.

    Boxes are matched one to one, the best pair first; a superfluous box lowers the reward like a missing one.
    References are ``meta["boxes"]`` in pixels, else those of the right answer.

    Raises:
        DataError: If the sample has no reference box.
    """
    predicted = [outline_of(box) for box in parse_answer(prediction, frame.codec, frame.geometry).boxes]
    reference = _references(sample, frame)
    if not predicted:
        return 0.0
    pairs = matched_ious(iou_table(predicted, reference))
    return sum(iou for iou in pairs if iou >= spec.threshold) / max(len(predicted), len(reference))


def format_reward(prediction: str, sample: Sample, frame: Frame, spec: FormatRewardSpec) -> float:
    """Return 1 where the answer can be read as what ``expects`` says."""
    answer = parse_answer(prediction, frame.codec, frame.geometry)
    if spec.expects == "boxes":
        return float(answer.status == "ok" and not answer.problems)
    if spec.expects == "count":
        return float(read_count(prediction) is not None)
    return float(answer.status == "no_boxes" and bool(prediction.strip()))


def matched_ious(table_PR: np.ndarray) -> list[float]:
    """Return the IoU of each matched pair: greedily, the best pair first, every box once."""
    left = table_PR.copy()
    found: list[float] = []
    while left.size and left.max() > 0:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        found.append(float(left[row, column]))
        left[row, :] = 0
        left[:, column] = 0
    return found


def _references(sample: Sample, frame: Frame) -> list[Outline]:
    given = sample.meta.get("boxes")
    if isinstance(given, list):
        found = [_outline(sample.id, numbers) for numbers in given]
    else:
        found = [
            outline_of(box) for box in parse_answer(accepted_answers(sample)[0], frame.codec, frame.geometry).boxes
        ]
    if not found:
        raise DataError(
            f"Sample {sample.id} has no reference box: give meta.boxes in pixels, or a right answer with one."
        )
    return found


def _outline(sample_id: str, numbers: object) -> Outline:
    if not isinstance(numbers, list) or len(numbers) not in (4, 8):
        raise DataError(f"Sample {sample_id}: a box of meta.boxes is {numbers!r}; give 4 or 8 numbers in pixels.")
    values: Sequence[float] = [float(value) for value in numbers]
    flat = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
    return Outline(flat, None if len(values) == 4 else tuple(values))
