"""Rewards of boxes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.answers.codecs import format_boxes
from geoprose.core.errors import DataError
from geoprose.core.types import Box, Message, Sample
from geoprose.training.preference.rewards.base import Frame, score
from geoprose.training.preference.rewards.boxes import matched_ious
from geoprose.training.specs.rewards import BoxIouRewardSpec, FormatRewardSpec

SIZE = (1000, 1000)
FRAME = Frame("geoprose", SIZE)
ROTATED = Frame("geochat", SIZE)
LEFT, RIGHT = Box(0, 0, 200, 100), Box(500, 500, 600, 600)


def _write(*boxes: Box, codec: str = "geoprose") -> str:
    return format_boxes(boxes, codec, SIZE)


def _sample(answer: str = "", boxes: list[list[float]] | None = None) -> Sample:
    turns = (Message("assistant", answer),) if answer else ()
    meta = {} if boxes is None else {"boxes": boxes}
    return Sample("1", (), (Message("user", "Where?"), *turns), meta=meta)  # type: ignore[arg-type]


def test_overlap_by_hand() -> None:
    sample = _sample(boxes=[[0, 0, 200, 100]])
    spec = BoxIouRewardSpec()
    assert score(spec, _write(LEFT), sample, FRAME) == pytest.approx(1.0)
    assert score(spec, _write(Box(100, 0, 300, 100)), sample, FRAME) == pytest.approx(1 / 3)
    assert score(spec, _write(RIGHT), sample, FRAME) == 0
    assert score(spec, "no idea", sample, FRAME) == 0
    assert score(BoxIouRewardSpec(threshold=0.5), _write(Box(100, 0, 300, 100)), sample, FRAME) == 0


def test_missing_and_superfluous_boxes_cost_the_same() -> None:
    two = _sample(boxes=[[0, 0, 200, 100], [500, 500, 600, 600]])
    one = _sample(boxes=[[0, 0, 200, 100]])
    assert score(BoxIouRewardSpec(), _write(LEFT), two, FRAME) == pytest.approx(0.5)
    assert score(BoxIouRewardSpec(), _write(RIGHT, LEFT), one, FRAME) == pytest.approx(0.5)
    assert score(BoxIouRewardSpec(), _write(RIGHT, LEFT), two, FRAME) == pytest.approx(1.0)


def test_oriented_boxes_overlap_by_their_polygons() -> None:
    box = Box(400, 400, 600, 500, angle_deg=90.0)
    corners = [[450.0, 350.0, 550.0, 350.0, 550.0, 550.0, 450.0, 550.0]]
    text = _write(Box(400, 400, 600, 500, angle_deg=45.0), codec="geochat")
    assert score(BoxIouRewardSpec(), _write(box, codec="geochat"), _sample(boxes=corners), ROTATED) > 0.95
    turned = score(BoxIouRewardSpec(), text, _sample(boxes=corners), ROTATED)
    assert 0.2 < turned < 0.7


def test_the_right_answer_may_hold_the_box() -> None:
    sample = _sample(answer=_write(LEFT))
    assert score(BoxIouRewardSpec(), _write(LEFT), sample, FRAME) == pytest.approx(1.0)
    with pytest.raises(DataError, match="no reference box"):
        score(BoxIouRewardSpec(), _write(LEFT), _sample(answer="nowhere"), FRAME)
    with pytest.raises(DataError, match="4 or 8 numbers"):
        score(BoxIouRewardSpec(), _write(LEFT), _sample(boxes=[[1, 2]]), FRAME)


def test_every_box_is_matched_once() -> None:
    assert matched_ious(np.array([[0.9, 0.8], [0.7, 0.0]])) == [0.9]
    assert matched_ious(np.array([[0.6, 0.5], [0.2, 0.9]])) == [0.9, 0.6]
    assert matched_ious(np.zeros((0, 2))) == []


def test_format() -> None:
    sample, box = _sample(), _write(LEFT)
    expected = {"boxes": [1, 0, 0, 0], "count": [None, 1, 0, 0], "words": [0, 1, 1, 0]}
    for expects, rewards in expected.items():
        spec = FormatRewardSpec(expects=expects)  # type: ignore[arg-type]
        found = [score(spec, text, sample, FRAME) for text in (box, "7 ships", "water", "")]
        assert all(wanted in (None, is_found) for is_found, wanted in zip(found, rewards, strict=True))
