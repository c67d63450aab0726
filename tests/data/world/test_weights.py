from __future__ import annotations

import numpy as np
import pytest

from geoprose.data.world.balance import Candidate
from geoprose.data.world.questions import TASKS
from geoprose.data.world.tiles import Tile, TileFacts
from geoprose.data.world.weights import FREE_TYPES, PRIOR, SCALE, TYPE_WEIGHTS, with_weights


def _candidates(task: str, answer: str, count: int) -> list[Candidate]:
    facts = TileFacts(Tile(0, 0, 4, ""), np.zeros((4, 4), np.uint8), np.zeros(7), np.zeros((4, 4, 7)))
    return [Candidate(task, "Any water?", answer, (answer,), (facts,)) for _ in range(count)]


def _weight(weighted: list[Candidate], answer: str) -> float:
    return next(item.weight for item in weighted if item.answer == answer and item.weight is not None)


def test_rare_answers_weigh_more():
    weighted = with_weights(_candidates("presence", "no", 480) + _candidates("presence", "yes", 80))
    assert _weight(weighted, "yes") / _weight(weighted, "no") == pytest.approx((480 + PRIOR) / (80 + PRIOR))


def test_free_answers_weigh_alike_whatever_they_say():
    weighted = with_weights(_candidates("list", "water", 480) + _candidates("list", "ice", 1))
    assert _weight(weighted, "water") == _weight(weighted, "ice")


def test_every_question_type_has_a_weight():
    assert set(TYPE_WEIGHTS) == set(TASKS)
    assert set(FREE_TYPES) < set(TASKS)


def test_boxes_are_counted_by_side():
    weighted = with_weights(_candidates("box", "north 0084", 100) + _candidates("box", "north 1084", 100))
    assert _weight(weighted, "north 0084") == pytest.approx(TYPE_WEIGHTS["box"] * SCALE / (200 + PRIOR))
