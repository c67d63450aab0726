"""Average precision: from ranked detections of one class to one number, by the three published interpolations."""

# D detections of one class over the whole set, in the order of their rank

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from geoprose.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = Sequence[float] | NDArray[np.float64]
    Flags = Sequence[bool] | NDArray[np.bool_]

Interpolation = Literal["area", "11_point", "101_point"]
"""``area``: area under the precision envelope (VOC 2010 on); ``11_point``: mean of the envelope at recall 0, 0.1 .. 1
(VOC 2007, DOTA devkit); ``101_point``: at 0, 0.01 .. 1 (COCO)."""
_POINTS = {"11_point": 11, "101_point": 101}


def precision_recall(
    scores: Floats, is_right: Flags, num_reference: int, is_tied_together: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall after each detection, best score first; equal scores in the order given.

    Args:
        scores: Confidence of each detection.
        is_right: Whether it stands for a reference.
        num_reference: References to be found.
        is_tied_together: Take detections of equal score as one step, so that the order of ties changes nothing.

    Shapes:
        Two arrays of ``(D,)``, or of as many entries as there are different scores.
    """
    scores_D = np.asarray(scores, dtype=np.float64)
    order_D = np.argsort(-scores_D, kind="stable")
    right_D = np.cumsum(np.asarray(is_right, dtype=np.float64)[order_D]) if len(order_D) else np.zeros(0)
    precision_D = right_D / np.arange(1, len(right_D) + 1)
    recall_D = right_D / max(num_reference, 1)
    if is_tied_together and len(order_D):
        is_last_D = np.append(np.diff(scores_D[order_D]) != 0, True)
        return precision_D[is_last_D], recall_D[is_last_D]
    return precision_D, recall_D


def average_precision(
    precision_D: NDArray[np.float64], recall_D: NDArray[np.float64], interpolation: Interpolation = "area"
) -> float:
    """Return the average precision of a precision-recall curve.

    Raises:
        ConfigError: If the interpolation is unknown.

    Source:
        Everingham et al., The PASCAL VOC challenge, 2010, and its development kit (voc_ap); COCO cocoeval.py accumulate
        (the smallest recall that reaches each point, precision made monotone from the right).
    """
    if interpolation not in get_args(Interpolation):
        raise ConfigError(f"Unknown interpolation {interpolation!r}. Known: {', '.join(get_args(Interpolation))}.")
    if not len(precision_D):
        return 0.0
    envelope_D = np.maximum.accumulate(precision_D[::-1])[::-1]
    if interpolation == "area":
        return float(np.sum(np.diff(recall_D, prepend=0.0) * envelope_D))
    points = np.linspace(0.0, 1.0, _POINTS[interpolation])
    places = np.searchsorted(recall_D, points, side="left")
    return float(np.append(envelope_D, 0.0)[places].mean())
