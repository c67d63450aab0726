"""Short ways to make items and to read judgements."""

from __future__ import annotations

from typing import Any

from geoprose.evaluation.metrics.base import Item, Judged
from geoprose.evaluation.protocols import load_protocol


def item(prediction: str, *references: str, id: str = "1", scores: dict[str, float] | None = None, **meta: Any) -> Item:
    """Make an item; further keywords are its meta."""
    return Item(id, prediction, references, scores=scores or {}, meta=meta)


def judge(protocol: str, variant: str, *items: Item) -> Judged:
    """Judge items by a variant of a protocol."""
    return load_protocol(protocol).metric(variant).judge(items)


def score(protocol: str, variant: str, *items: Item) -> float:
    """Return the mean score of items by a variant of a protocol."""
    judged = judge(protocol, variant, *items).judgements
    return sum(judgement.score for judgement in judged) / len(judged)
