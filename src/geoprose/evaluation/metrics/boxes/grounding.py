"""Visual grounding: is the box named by the answer the box asked for?"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import numpy as np

from geoprose.answers.codecs import get_codec
from geoprose.answers.iou import IouKind, iou_table, union_iou
from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.boxes.boxes import BoxPair, problem_table, read_pair
from geoprose.evaluation.metrics.boxes.matching import Rule, check_rule, credit, matching_of, mean_iou
from geoprose.evaluation.metrics.grouped import group_means, means_table
from geoprose.evaluation.metrics.unavailable import no_score

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue

ReadAs = Literal["codec", "better_of_two"]
THRESHOLDS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9)
"""acc@0.25: GeoChat; Pr@0.5 to Pr@0.9: RSVG; acc@0.7: VRSBench."""
GROUP_KEYS = ("size_group", "is_unique", "category", "domain")


class Grounding:
    """The share of questions whose boxes are found; by default acc@0.5 with continuous IoU.

    Unparsable answers score 0 and stay in the denominator. Beside the score stand the other thresholds (``acc@...``),
    and of the one-to-one matching ``mean_iou`` per reference box, precision, recall and F1; the table ``groups`` splits
    the score by size, uniqueness and number of targets, and ``problems`` counts what was wrong with the boxes.

    Args:
        rule: What counts when there are several boxes.
        iou: Which definition of IoU.
        threshold: Smallest IoU that counts as found.
        score: The accuracy at the threshold, or the IoU itself.
        read_as: Read boxes by the codec, or score both the absolute and the 0..1000 reading and keep the better one.

    Raises:
        ConfigError: If an option has no such value.

    Source:
        acc@IoU: GeoChat (arXiv:2311.15826); Pr@k, meanIoU: RSVG (arXiv:2210.12634); groups: VRSBench
        (arXiv:2406.12384), EarthDial detection_eval.py; better of two readings: lmms-eval pull request 1373.
    """

    is_accuracy = True
    is_itemwise = False  # the groups are of the whole set

    def __init__(
        self,
        *,
        rule: Rule = "single_or_all",
        iou: IouKind = "continuous",
        threshold: float = 0.5,
        score: Literal["accuracy", "iou"] = "accuracy",
        read_as: ReadAs = "codec",
    ) -> None:
        check_rule(rule)
        if read_as not in ("codec", "better_of_two") or score not in ("accuracy", "iou"):
            raise ConfigError(f"read_as is codec or better_of_two, score accuracy or iou; not {read_as}, {score}.")
        self.rule, self.iou, self.threshold, self.read_as = rule, iou, threshold, read_as
        self.is_iou = score == "iou"
        counted = "F1" if rule in ("one_to_one", "greedy") else "acc"
        self.name = "mean IoU" if self.is_iou else f"{counted}@{threshold:g}"

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own, and split the scores by group."""
        if self.read_as == "better_of_two":
            if why := _one_reading(items):
                return no_score(items, why)
            pairs, judgements = _unzip([self._better(item) for item in items])
        else:
            pairs = [read_pair(item) for item in items]
            judgements = [self._judge(pair, item) for pair, item in zip(pairs, items, strict=True)]
        tables: dict[str, JsonValue] = {"groups": _groups(items, pairs, judgements), "problems": problem_table(pairs)}
        return Judged(tuple(judgements), {}, tables)

    def table(self, pair: BoxPair) -> NDArray[np.float64]:
        """Return the table of IoU of an item: of every pair of boxes, or the one value of the union rule."""
        if self.rule == "union" and pair.predicted and pair.reference:
            return np.array([[union_iou(pair.predicted, pair.reference)]])
        return iou_table(pair.predicted, pair.reference, self.iou, pair.size_px)

    def _judge(self, pair: BoxPair, item: Item) -> Judgement:
        table_PR = self.table(pair)
        matching = matching_of(table_PR, self.rule)
        extras = {f"acc@{at:g}": credit(table_PR, self.rule, at, matching) for at in THRESHOLDS}
        extras["mean_iou"] = mean_iou(table_PR, "one_to_one", matching)
        if self.rule != "union":
            extras |= {
                "f1@0.5": matching.f1(0.5),
                "precision@0.5": matching.precision(0.5) if pair.predicted else 0.0,
                "recall@0.5": matching.recall(0.5),
            }
        extras.pop(self.name, None)
        is_parsed = bool(pair.predicted) or not pair.reference
        score = (
            mean_iou(table_PR, self.rule, matching)
            if self.is_iou
            else credit(table_PR, self.rule, self.threshold, matching)
        )
        return Judgement(score, is_parsed, item.prediction.strip(), extras)

    def _better(self, item: Item) -> tuple[BoxPair, Judgement]:
        """Score the absolute and the 0..1000 reading; say which one won."""
        absolute, thousand = read_pair(item, "absolute"), read_pair(item, "thousand")
        by_reading = [mean_iou(self.table(pair), self.rule) for pair in (absolute, thousand)]
        is_absolute = by_reading[0] >= by_reading[1]
        pair = absolute if is_absolute else thousand
        judgement = self._judge(pair, item)
        won = {
            "absolute_won": float(by_reading[0] > by_reading[1]),
            "thousand_won": float(by_reading[1] > by_reading[0]),
            "readings_equal": float(by_reading[0] == by_reading[1]),
        }
        extras = {**judgement.extras, **won}
        return pair, Judgement(judgement.score, judgement.is_parsed, judgement.label, extras)


def _one_reading(items: Sequence[Item]) -> str:
    """Return why the absolute and the 0..1000 reading of these answers cannot be told apart; empty when they can."""
    if any(item.size_px is None for item in items):
        return "the size of a picture is not known, so pixels and 0..1000 are the same"
    strange = sorted({item.codec for item in items if get_codec(item.codec).scale not in (None, 1000.0)})
    return f"answers in the {', '.join(strange)} format count neither pixels nor 0..1000" if strange else ""


def _unzip(judged: Iterable[tuple[BoxPair, Judgement]]) -> tuple[list[BoxPair], list[Judgement]]:
    both = list(judged)
    return [pair for pair, _ in both], [judgement for _, judgement in both]


def _groups(items: Sequence[Item], pairs: Sequence[BoxPair], judgements: Sequence[Judgement]) -> dict[str, JsonValue]:
    """Return n and mean score per value of each key that splits the set, and by the number of targets."""
    means = {key: group_means(items, judgements, key) for key in GROUP_KEYS}
    tables = {key: means_table(groups) for key, groups in means.items() if groups}
    scores: dict[str, list[float]] = defaultdict(list)
    for pair, judgement in zip(pairs, judgements, strict=True):
        scores["single" if len(pair.reference) == 1 else "multiple"].append(judgement.score)
    tables["targets"] = means_table({name: (len(own), sum(own) / len(own)) for name, own in scores.items()})
    return tables
