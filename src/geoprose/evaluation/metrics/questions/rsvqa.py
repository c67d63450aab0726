"""RSVQA: counts and areas in the buckets of the paper, and the four means that are all called accuracy."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.grouped import macro_mean, micro_mean
from geoprose.evaluation.metrics.labels.normalise_published import find_normaliser

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUCKET_EDGES = (10, 100, 1000)
TYPE_NAMES = {"comp": "comparison", "rural/urban": "rural_urban", "rural-urban": "rural_urban"}
"""Published spellings of question types, and ours."""
MOA_TYPES = ("presence", "comparison", "rural_urban")
"""Types in the mean accuracy of GeoChat, LHRS-Bot and VHM; counts and areas are left out of it."""
_normalise = find_normaliser("geoprose")
_NUMBER = re.compile(r"(\d+(?:,\d{3})*)\s*(m2|m\^2|square meters?|square metres?|sqm)?")


def bucket_of(number: int, unit: str = "") -> str:
    """Return the answer class of a count or an area: 0 | up to 10 | up to 100 | up to 1000 | more.

    Source:
        Lobry et al., RSVQA, TGRS 2020; syvlo/RSVQA VocabEncoder.py: 10 lies in "between 0 and 10", 0 stays itself.
    """
    if number == 0:
        return f"0{unit}"
    low = 0
    for high in BUCKET_EDGES:
        if number <= high:
            return f"between {low}{unit} and {high}{unit}"
        low = high
    return f"more than {low}{unit}"


@lru_cache(maxsize=8192)
def bucket_answer(text: str) -> str:
    """Return the answer class of a text: its bucket when it is a number or an area, else the normalised text.

    A text that names a bucket ("between 10 and 100") stays as it is.
    """
    answer = _normalise(text)
    found = _NUMBER.fullmatch(answer)
    if found is None:
        return answer
    return bucket_of(int(found[1].replace(",", "")), "m2" if found[2] else "")


class RsvqaBuckets:
    """Equality of answer classes after counts and areas are put into the paper's buckets.

    The share of exactly right numbers stands beside it: 5 for 3 is right in buckets.
    """

    name = "bucket accuracy"
    is_accuracy = True
    is_itemwise = True

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own."""
        return Judged(tuple(_judge(item) for item in items))


def _judge(item: Item) -> Judgement:
    answer, exact = bucket_answer(item.prediction), _normalise(item.prediction)
    truths = [bucket_answer(reference) for reference in item.references]
    is_exact = bool(exact) and exact in {_normalise(reference) for reference in item.references}
    is_correct = bool(answer) and answer in truths
    is_parsed = bool(answer) and (is_correct or not item.choices or exact in item.choices or exact[:1].isdigit())
    truth = truths[0] if truths else ""
    return Judgement(float(is_correct), is_parsed, truth if is_correct else answer, {"exact": float(is_exact)}, truth)


def published_means(by_type: Mapping[str, tuple[int, float]]) -> dict[str, float]:
    """Return the means over question types that papers report under one name.

    Args:
        by_type: Questions and accuracy (0 to 1) of each type, in any published spelling.

    Returns:
        ``oa`` (all questions) and ``aa`` (mean over types) as the RSVQA paper defines them; ``moa_micro`` (all
        questions of presence, comparison and rural/urban) and ``moa_macro`` (mean over those types).

    Source:
        syvlo/RSVQA computeStats.py (OA, AA). That the published mOA is the micro mean is inferred: with n = 2955, 4002
        and 100 it reproduces the published LR rows, and the macro mean misses them by up to 5 points.
    """
    named = {TYPE_NAMES.get(name.lower(), name.lower()): value for name, value in by_type.items()}
    short = {name: named[name] for name in MOA_TYPES if name in named}
    return {
        "oa": micro_mean(named),
        "aa": macro_mean(named),
        "moa_micro": micro_mean(short),
        "moa_macro": macro_mean(short),
    }
