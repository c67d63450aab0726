"""Counting: how many objects an answer says there are, and how far off it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from geoprose.answers.counts import Numbers, read_count
from geoprose.core.errors import ConfigError, TaskError
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.questions.rsvqa import BUCKET_EDGES, bucket_answer, bucket_of
from geoprose.evaluation.metrics.ratio import ratio_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import JsonValue

Score = Literal["exact", "buckets", "absolute_error", "absolute_error_read"]
RANGE_EDGES = (2, 6, 12)
"""Upper ends of VHM's ranges (0, 2], (2, 6], (6, 12]; more than 12 is the last."""
_BUCKETS = frozenset(bucket_of(number) for number in (0, *BUCKET_EDGES, BUCKET_EDGES[-1] + 1))
_NAMES: dict[Score, str] = {
    "exact": "exact count",
    "buckets": "bucket accuracy",
    "absolute_error": "MAE",
    "absolute_error_read": "MAE of answers with a number",
}


class Counting:
    """The share of exactly right counts; MAE, RMSE, MAPE and the accuracy by range of the truth beside it.

    An answer without a readable number is wrong, and for the errors it stands for 0 objects, so that saying nothing is
    never better than a guess; ``mae_read`` leaves such answers out, as published scripts do.

    Args:
        score: ``exact``; ``buckets`` (RSVQA's 0, 1 to 10, 11 to 100, 101 to 1000, more); ``absolute_error``;
            ``absolute_error_read`` (over answers with a number only).
        numbers: Which number of a text is the count: the only one, or the first.

    Raises:
        ConfigError: If an option has no such value.

    Source:
        Buckets: RSVQA VocabEncoder.py. Ranges, MAE and MAPE over answers with a number, first number: VHM RSEvalKit
        model_eval_mp.py eval_results_couting.
    """

    is_itemwise = False

    def __init__(self, *, score: Score = "exact", numbers: Numbers = "only") -> None:
        if score not in _NAMES or numbers not in ("only", "first"):
            raise ConfigError(f"score is one of {', '.join(_NAMES)} and numbers only or first, not {score}, {numbers}.")
        self.score, self.numbers, self.name = score, numbers, _NAMES[score]
        self.is_accuracy = score in ("exact", "buckets")

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item, then the errors of the whole set."""
        truths = [true_count(item) for item in items]
        counts = [read_count(item.prediction, self.numbers) for item in items]
        if self.score == "buckets":
            judgements = [_bucket(item, count, true) for item, count, true in zip(items, counts, truths, strict=True)]
        else:
            scores = self._scores(counts, truths)
            judgements = [
                Judgement(score, count is not None, "" if count is None else f"{count:g}", _errors(count, true))
                for score, count, true in zip(scores, counts, truths, strict=True)
            ]
        tables: dict[str, JsonValue] = {"ranges": range_table(counts, truths)}
        return Judged(tuple(judgements), error_figures(counts, truths) if items else {}, tables)

    def _scores(self, counts: Sequence[float | None], truths: Sequence[float]) -> list[float]:
        if self.score == "exact":
            return [float(count == true) for count, true in zip(counts, truths, strict=True)]
        errors = [abs((count or 0.0) - true) for count, true in zip(counts, truths, strict=True)]
        if self.score == "absolute_error":
            return errors
        is_read = [float(count is not None) for count in counts]
        return ratio_scores([error * read for error, read in zip(errors, is_read, strict=True)], is_read)


def true_count(item: Item) -> float:
    """Return the right count of an item: ``meta["count"]``, else the number of its first reference.

    Raises:
        TaskError: If neither is a count.
    """
    given = item.meta.get("count")
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
        return float(given)
    stated = read_count(item.references[0]) if item.references else None
    if stated is None:
        raise TaskError(
            f"Sample {item.id} has no count to score against: meta.count is {given!r} and the reference states no "
            "number. Give meta.count."
        )
    return stated


def error_figures(counts: Sequence[float | None], truths: Sequence[float]) -> dict[str, float]:
    """Return MAE, RMSE and MAPE with unread answers as 0, the MAE and MAPE of read answers, and the share unread.

    MAPE is over items whose truth is not 0.
    """
    errors = [abs((count or 0.0) - true) for count, true in zip(counts, truths, strict=True)]
    is_read = [count is not None for count in counts]
    relative = [(error / true, read) for error, true, read in zip(errors, truths, is_read, strict=True) if true > 0]
    figures = {
        "mae": sum(errors) / len(errors),
        "rmse": math.sqrt(sum(error**2 for error in errors) / len(errors)),
        "unread": 1 - sum(is_read) / len(is_read),
    }
    if relative:
        figures["mape"] = sum(error for error, _ in relative) / len(relative)
    for name, values in (
        ("mae_read", [error for error, read in zip(errors, is_read, strict=True) if read]),
        ("mape_read", [error for error, read in relative if read]),
    ):
        if values:
            figures[name] = sum(values) / len(values)
    return figures


def range_table(counts: Sequence[float | None], truths: Sequence[float]) -> dict[str, JsonValue]:
    """Return n, the share of exact counts and of unread answers by range of the truth."""
    table: dict[str, list[tuple[bool, bool]]] = {}
    for count, true in zip(counts, truths, strict=True):
        table.setdefault(range_of(true), []).append((count == true, count is None))
    names = [range_of(edge) for edge in (0, *RANGE_EDGES, RANGE_EDGES[-1] + 1)]
    return {
        name: {
            "n": len(table[name]),
            "score": sum(right for right, _ in table[name]) / len(table[name]),
            "unread": sum(unread for _, unread in table[name]) / len(table[name]),
        }
        for name in names
        if name in table
    }


def range_of(count: float) -> str:
    """Return the range of VHM that a count lies in; 0, which VHM's questions never have, stands alone."""
    if count == 0:
        return "0"
    low = 0
    for high in RANGE_EDGES:
        if count <= high:
            return f"({low},{high}]"
        low = high
    return f">{low}"


def _bucket(item: Item, count: float | None, true: float) -> Judgement:
    named = bucket_answer(item.prediction)
    label = named if named in _BUCKETS else bucket_of(math.ceil(count)) if count is not None else ""
    truth = bucket_of(math.ceil(true))
    return Judgement(float(label == truth), bool(label), label, _errors(count, true), truth)


def _errors(count: float | None, true: float) -> dict[str, float]:
    return {"exact": float(count == true), "absolute_error": abs((count or 0.0) - true)}
