"""Which predicted box stands for which reference box, and the published rules for questions with several targets.

GeoChat's paper defines accuracy for one box and its data asks for several (mbzuai-oryx/GeoChat issue 70), so each later
work wrote its own rule. Every rule here is a function of the table of IoU (or of the two lists of boxes) by name.
"""

# P predicted boxes, R reference boxes

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from geoprose.answers.iou import iou_table, outline_of
from geoprose.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import Box

Rule = Literal["single_or_all", "first", "any", "all_matched", "one_to_one", "greedy", "union"]
"""``single_or_all``: a question with one reference is judged by the first predicted box; one with several counts when
every reference is found and nothing else is named. ``first``: first predicted with first reference. ``any``: some pair
matches. ``all_matched``: every reference found and nothing else named, however many there are. ``one_to_one``: F1 of
the matching with the largest total IoU (Hungarian). ``greedy``: F1 of the matching that takes the best pair first.
``union``: IoU of the areas covered.
"""
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Matching:
    """Boxes of a picture matched one to one.

    Attributes:
        ious: IoU of each matched pair.
        num_predicted: Predicted boxes.
        num_reference: Reference boxes.
    """

    ious: tuple[float, ...]
    num_predicted: int
    num_reference: int

    def num_found(self, threshold: float) -> int:
        """Return how many pairs have an IoU of at least ``threshold``."""
        return sum(value >= threshold for value in self.ious)

    def f1(self, threshold: float) -> float:
        """Return F1 of the pairs with IoU of at least ``threshold``; 1 when there is nothing to find or named."""
        total = self.num_predicted + self.num_reference
        return 2 * self.num_found(threshold) / total if total else 1.0

    def recall(self, threshold: float) -> float:
        """Return the share of reference boxes found with IoU of at least ``threshold``."""
        return self.num_found(threshold) / self.num_reference if self.num_reference else 1.0

    def precision(self, threshold: float) -> float:
        """Return the share of predicted boxes that stand for a reference box."""
        return self.num_found(threshold) / self.num_predicted if self.num_predicted else 1.0


def match_boxes(predicted: Sequence[Box], reference: Sequence[Box]) -> Matching:
    """Match predicted boxes to reference boxes one to one with the largest total IoU."""
    return match_table(iou_table([outline_of(b) for b in predicted], [outline_of(b) for b in reference]))


def match_table(table_PR: NDArray[np.float64], pairs: Pairs | None = None) -> Matching:
    """Return the matching of a table of IoU: the Hungarian one, or that of the given pairs."""
    chosen = hungarian(table_PR) if pairs is None else pairs
    return Matching(tuple(float(table_PR[pair]) for pair in chosen), *table_PR.shape)


def hungarian(table_PR: NDArray[np.float64]) -> Pairs:
    """Return the one-to-one pairs with the largest total IoU.

    Source:
        Kuhn, The Hungarian method for the assignment problem, 1955 (scipy's linear_sum_assignment).
    """
    if table_PR.size == 1:
        return ((0, 0),)
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # scipy ships no types

    rows, columns = linear_sum_assignment(table_PR, maximize=True)
    return tuple(zip(rows.tolist(), columns.tolist(), strict=True))


def greedy(table_PR: NDArray[np.float64]) -> Pairs:
    """Return one-to-one pairs, the pair with the largest IoU first; equal pairs in the order of the boxes."""
    pairs: list[tuple[int, int]] = []
    order = np.argsort(-table_PR, axis=None, kind="stable")
    rows, columns = np.unravel_index(order, table_PR.shape)
    free_rows, free_columns = set(range(table_PR.shape[0])), set(range(table_PR.shape[1]))
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if row in free_rows and column in free_columns:
            pairs.append((row, column))
            free_rows.remove(row)
            free_columns.remove(column)
    return tuple(pairs)


def check_rule(rule: str) -> None:
    """Refuse an unknown rule.

    Raises:
        ConfigError: If the rule is not one of ``Rule``.
    """
    if rule not in get_args(Rule):
        raise ConfigError(f"Unknown rule {rule!r} for several boxes. Known: {', '.join(get_args(Rule))}.")


def matching_of(table_PR: NDArray[np.float64], rule: Rule) -> Matching:
    """Return the one-to-one matching that a rule rests on: the greedy one for ``greedy``, else the Hungarian one."""
    return match_table(table_PR, greedy(table_PR) if rule == "greedy" else None)


def credit(table_PR: NDArray[np.float64], rule: Rule, threshold: float, matching: Matching | None = None) -> float:
    """Return what an answer earns by a rule, 0 to 1.

    Args:
        table_PR: IoU of every pair; for ``union`` the one value of the areas covered.
        rule: Which rule.
        threshold: Smallest IoU that counts as found.
        matching: That of ``matching_of``, where it is known already.
    """
    if table_PR.size == 0:
        return float(table_PR.shape == (0, 0))
    if _is_one_value(table_PR, rule):
        return float(_one_value(table_PR, rule) >= threshold)
    f1 = (matching or matching_of(table_PR, rule)).f1(threshold)
    return f1 if rule in ("one_to_one", "greedy") else float(f1 == 1)


def mean_iou(table_PR: NDArray[np.float64], rule: Rule, matching: Matching | None = None) -> float:
    """Return the IoU of an answer by a rule: of one pair, or the sum over matched pairs per reference box.

    A box too many does not lower it where a rule matches boxes; F1 does that.
    """
    if table_PR.size == 0:
        return float(table_PR.shape == (0, 0))
    if _is_one_value(table_PR, rule):
        return _one_value(table_PR, rule)
    found = matching or matching_of(table_PR, rule)
    return sum(found.ious) / found.num_reference


def _is_one_value(table_PR: NDArray[np.float64], rule: Rule) -> bool:
    return rule in ("any", "first", "union") or (rule == "single_or_all" and table_PR.shape[1] == 1)


def _one_value(table_PR: NDArray[np.float64], rule: Rule) -> float:
    return float(table_PR.max() if rule == "any" else table_PR[0, 0])
