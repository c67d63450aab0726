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
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable").tolist()
    free = [True] * table_PR.shape[1]
    kept = Ranked([], [], sum(not flag for flag in is_difficult))
    for place in order:
        best = _best(table_PR[place], free, is_difficult, threshold, rule)
        if best is not None and is_difficult[best]:
            continue
        is_right = best is not None and free[best]
        if best is not None:
            free[best] = False
        kept.scores.append(float(scores[place]))
        kept.is_right.append(is_right)
    return kept


def _best(
    ious_R: NDArray[np.float64],
    free: Sequence[bool],
    is_difficult: Sequence[bool],
    threshold: float,
    rule: MatchRule,
) -> int | None:
    """Return the reference that a detection is compared with, None where no IoU reaches the threshold."""
    if ious_R.size == 0:
        return None
    if rule == "voc":
        best = int(np.argmax(ious_R))
        return best if ious_R[best] >= threshold else None
    # COCO: the last best among free references; a difficult one only when no other reaches the threshold, and often.
    for wanted in (False, True):
        found = [r for r in range(len(free)) if is_difficult[r] is wanted and (free[r] or wanted)]
        if found and ious_R[found].max() >= threshold:
            return max(found, key=lambda r: (ious_R[r], r))
    return None
