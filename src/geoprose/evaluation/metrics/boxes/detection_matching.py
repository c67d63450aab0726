"""Which detections are right: the matching rules of PASCAL VOC (and DOTA) and of COCO, per picture and class."""

# P predicted boxes and R reference boxes of one class in one picture

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MatchRule = Literal["voc", "coco"]
"""``voc``: a detection is compared with the reference it overlaps most, found already or not. ``coco``: with the
reference it overlaps most among those not found yet."""


class Ranked(NamedTuple):
    """The detections of one class in one picture that count, best first.

    Attributes:
        scores: Confidence of each.
        is_right: Whether it stands for a reference.
        num_reference: References of the class in the picture, without the difficult ones.
    """

    scores: list[float]
    is_right: list[bool]
    num_reference: int


def match_ranked(
    table_PR: NDArray[np.float64],
    scores: Sequence[float],
    is_difficult: Sequence[bool],
    threshold: float,
    rule: MatchRule = "voc",
) -> Ranked:
    """Judge the detections of one class in one picture, best score first; equal scores in the order given.

    A detection whose reference is difficult counts neither as right nor as wrong.

    Args:
        table_PR: IoU of every detection with every reference.
        scores: Confidence of each detection.
        is_difficult: Per reference, whether it must be ignored.
        threshold: Smallest IoU that counts.
        rule: Whose rule.

    Source:
        PASCAL VOC development kit (VOCevaldet); DOTA_devkit dota_evaluation_task1.py; COCO cocoeval.py evaluateImg.
        VOC and DOTA ask for more than the threshold, COCO for at least it; here all ask for at least it.
    """
    difficult_R = np.array(is_difficult, dtype=np.bool_)
    free_R = np.ones(len(difficult_R), dtype=np.bool_)
    kept = Ranked([], [], int(np.count_nonzero(~difficult_R)))
    for place in np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable").tolist():
        best = _best(table_PR[place], free_R, difficult_R, threshold, rule)
        if best is not None and difficult_R[best]:
            continue
        kept.is_right.append(best is not None and bool(free_R[best]))
        kept.scores.append(float(scores[place]))
        if best is not None:
            free_R[best] = False
    return kept


def _best(
    ious_R: NDArray[np.float64],
    free_R: NDArray[np.bool_],
    difficult_R: NDArray[np.bool_],
    threshold: float,
    rule: MatchRule,
) -> int | None:
    """Return the reference that a detection is compared with, None where no IoU reaches the threshold."""
    if ious_R.size == 0 or ious_R.max() < threshold:
        return None
    if rule == "voc":
        return int(np.argmax(ious_R))
    # COCO: the last best among free references; a difficult one only when no other reaches the threshold, and often.
    for allowed_R in (free_R & ~difficult_R, difficult_R):
        among_R = np.where(allowed_R, ious_R, -1.0)[::-1]
        if among_R.max() >= threshold:
            return len(among_R) - 1 - int(np.argmax(among_R))
    return None
