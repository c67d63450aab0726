"""Recall of ranked queries and of chance, against counting by hand."""

from __future__ import annotations

import json

import pytest

from geoprose.data.readers.picture import Picture
from geoprose.data.readers.retrieval import retrieval_samples
from geoprose.evaluation.metrics.base import Item
from geoprose.experiments.reproduce.retrieval_exam import chance_of, recalls_of

CAPTIONS = {"a": ["red"], "b": ["green"], "c": ["red"], "d": ["blue"]}


def _queries():
    return list(
        retrieval_samples([(Picture(name, (f"{name}.png",), "test"), texts) for name, texts in CAPTIONS.items()])
    )


def test_chance_counts_equal_captions_as_one_text() -> None:
    chance = chance_of(_queries())
    # Four candidates a query; "red" has two right ones, the others one.
    assert chance["t2i_1"] == pytest.approx((2 / 4 + 1 / 4 + 2 / 4 + 1 / 4) / 4)
    assert chance["t2i_5"] == 1.0
    pair = 1 - 1 / 6  # two of four drawn, not both wrong: 1 - C(2,2)/C(4,2)
    assert pair == pytest.approx(0.8333333)
    assert chance["mean_recall"] == pytest.approx((chance["t2i_1"] + chance["i2t_1"] + 4) / 6)


def test_recall_is_that_of_the_ranking() -> None:
    queries = _queries()
    others = {task: [s.id for s in queries if s.task != task] for task in ("text_to_image", "image_to_text")}
    items = []
    for sample in queries:
        # Every query finds what belongs to picture "a" best, then "b", "c", "d".
        scores = {name: 1.0 - place / 10 for place, name in enumerate(others[sample.task])}
        ranking = json.dumps(others[sample.task])
        items.append(Item(sample.id, ranking, tuple(sample.meta["answers"]), scores=scores, meta=sample.meta))
    scores = recalls_of(queries, items)
    assert scores["t2i_1"].values == (1.0, 0.0, 1.0, 0.0), "both reds are found at a, since a's caption is the same"
    assert scores["t2i_5"].mean == 1.0
    assert scores["mean_recall"].mean == pytest.approx((0.5 + 1 + 1 + 0.5 + 1 + 1) / 6)
    assert set(scores["t2i_1"].clusters) == set(CAPTIONS)
