"""Means by a key of the sample's meta: per category, per kind of negative, per size class, per duration."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.core.types import JsonValue
    from geoprose.evaluation.metrics.base import Item, Judgement

NO_GROUP = "(none)"
"""Group of the items whose meta lacks the key."""


def group_of(item: Item, key: str) -> str:
    """Return the group of an item: the text at ``key`` of its meta."""
    value = item.meta.get(key)
    return str(value) if value not in (None, "") else NO_GROUP


def places_by_group(items: Sequence[Item], key: str) -> dict[str, list[int]]:
    """Return the places of the items of each group, groups in the order of their first item."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        places[group_of(item, key)].append(place)
    return dict(places)


def places_by_question(items: Sequence[Item]) -> dict[str, list[int]]:
    """Return the places of the items that are scored together (``meta["group"]``); others stand alone by their id."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        name = group_of(item, "group")
        places[f"id {item.id}" if name == NO_GROUP else f"group {name}"].append(place)
    return dict(places)


def group_means(items: Sequence[Item], judgements: Sequence[Judgement], key: str) -> dict[str, tuple[int, float]]:
    """Return ``(n, mean score)`` of each group; empty when no item has the key."""
    places = places_by_group(items, key)
    if set(places) <= {NO_GROUP}:
        return {}
    return {
        name: (len(own), sum(judgements[place].score for place in own) / len(own))
        for name, own in sorted(places.items())
    }


def macro_mean(means: Mapping[str, tuple[int, float]]) -> float:
    """Return the mean over groups, each counting the same; 0 without groups."""
    return sum(score for _, score in means.values()) / len(means) if means else 0.0


def micro_mean(means: Mapping[str, tuple[int, float]]) -> float:
    """Return the mean over items, each counting the same; 0 without items."""
    total = sum(n for n, _ in means.values())
    return sum(n * score for n, score in means.values()) / total if total else 0.0


def means_table(means: Mapping[str, tuple[int, float]]) -> JsonValue:
    """Return the means as JSON: ``{group: {"n": ..., "score": ...}}``."""
    return {name: {"n": n, "score": score} for name, (n, score) in means.items()}
