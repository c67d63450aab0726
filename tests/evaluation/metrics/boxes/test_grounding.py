"""Grounding: the default by hand, and every faulty variant wrong in the direction it is flagged for."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.boxes.grounding import Grounding
from geoprose.evaluation.metrics.boxes.grounding_ratios import GroundingRatio
from geoprose.evaluation.protocols import load_protocol

PROTOCOL = load_protocol("grounding")


def _item(prediction: str, reference: str, codec: str = "geoprose", **meta: object) -> Item:
    return Item("1", prediction, (reference,), size_px=(64, 64), codec=codec, meta=meta)  # type: ignore[arg-type]


def _score(variant: str, *items: Item) -> float:
    judged = PROTOCOL.metric(variant).judge(items)
    return sum(judgement.score for judgement in judged.judgements) / len(items)


def test_default_by_hand() -> None:
    judged = Grounding().judge([_item("[0 0 500 1000]", "[0 0 500 800]")]).judgements[0]
    assert (judged.score, judged.is_parsed) == (1.0, True)
    assert judged.extras["mean_iou"] == pytest.approx(0.8)
    far = Grounding().judge([_item("[0 0 500 300]", "[0 0 500 1000]")]).judgements[0]
    assert (far.score, far.extras["acc@0.25"]) == (0.0, 1.0)
    words = Grounding().judge([_item("in the north", "[0 0 500 800]")]).judgements[0]
    assert (words.score, words.is_parsed) == (0.0, False)


def test_the_first_box_counts_for_a_single_target_and_surplus_costs_f1() -> None:
    judged = Grounding().judge([_item("[0 0 500 800] [600 600 700 700]", "[0 0 500 800]")]).judgements[0]
    assert (judged.score, judged.extras["f1@0.5"]) == (1.0, pytest.approx(2 / 3))


def test_groups() -> None:
    items = [
        _item("[0 0 500 800]", "[0 0 500 800]", size_group="large", is_unique=True),
        _item("[0 0 5 8]", "[0 0 500 800]", size_group="small", is_unique=False),
        _item("[0 0 5 8]", "[0 0 500 800] [600 0 700 100]", size_group="small", is_unique=False),
    ]
    groups = Grounding().judge(items).tables["groups"]
    assert groups == {
        "size_group": {"large": {"n": 1, "score": 1.0}, "small": {"n": 2, "score": 0.0}},
        "is_unique": {"False": {"n": 2, "score": 0.0}, "True": {"n": 1, "score": 1.0}},
        "targets": {"single": {"n": 2, "score": 0.5}, "multiple": {"n": 1, "score": 0.0}},
    }


def test_plus_one_on_unit_boxes_accepts_wrong_boxes_and_the_default_does_not() -> None:
    """LHRS-Bot: two boxes at opposite ends of the picture, in its own 0..1 format."""
    apart = _item("[0.10, 0.10, 0.20, 0.20]", "[0 0 0 0]", codec="unit", boxes=[[30, 30, 38, 38]])
    assert _score("acc-0.5", apart) == 0.0
    assert _score("plus-one-100-grid", apart) == 0.0
    near = _item("[0.10, 0.10, 0.20, 0.20]", "", codec="unit", boxes=[[13, 13, 19, 19]])
    assert (_score("acc-0.5", near), _score("plus-one-unit-grid", near)) == (0.0, 1.0)


def test_plus_one_on_a_grid_of_100_accepts_near_misses_of_small_objects() -> None:
    item = Item("1", "{<10><10><12><12>}", ("{<11><10><13><12>}",), codec="vrsbench", reference_codec="vrsbench")
    assert (_score("acc-0.5", item), _score("plus-one-100-grid", item)) == (0.0, 1.0)  # 2/6 and 6/12


def test_ignoring_the_angle_takes_crossed_boxes_for_equal() -> None:
    item = Item(
        "1", "[[20, 45, 80, 55, 10]]", ("[[20, 45, 80, 55, 80]]",), codec="earthdial", reference_codec="earthdial"
    )
    assert (_score("acc-0.5", item), _score("ignore-angle", item)) == (0.0, 1.0)


def test_parsed_only_rewards_silence() -> None:
    right, silent = _item("[0 0 500 800]", "[0 0 500 800]"), _item("I cannot tell", "[0 0 500 800]")
    assert _score("acc-0.5", right, silent, silent) == pytest.approx(1 / 3)
    assert _score("parsed-only", right, silent, silent) == pytest.approx(1.0)


def test_matched_per_predicted_forgives_what_is_not_named_and_counts_repeats() -> None:
    """EarthDial: one of three targets named, twice; plus a question without an answer."""
    three = "[0 0 100 100] [300 300 400 400] [700 700 800 800]"
    items = [_item("[0 0 100 100] [0 0 100 100]", three), _item("", three)]
    assert _score("matched-per-predicted", *items) == pytest.approx(1.0)
    recall = GroundingRatio(ratio="box_recall").judge(items)
    assert sum(j.score for j in recall.judgements) / 2 == pytest.approx(1 / 6)
    assert recall.corpus == {"numerator": 1.0, "denominator": 6.0}
    assert _score("acc-0.5", *items) == 0.0


def test_better_of_two_scales_repairs_an_answer_and_says_which_reading_won() -> None:
    """A box in pixels from a system that says it answers in 0..1000."""
    meta = {"boxes": [[100, 100, 300, 300]]}
    item = Item("1", '[{"bbox_2d": [100, 100, 300, 300]}]', ("",), (400, 400), codec="qwen3_vl", meta=meta)
    assert _score("acc-0.5", item) == 0.0
    judged = PROTOCOL.metric("better-of-two-scales").judge([item]).judgements[0]
    assert judged.score == 1.0
    assert judged.extras["absolute_won"] == 1.0
    assert judged.extras["thousand_won"] == 0.0


def test_two_readings_need_two_scales() -> None:
    metric = PROTOCOL.metric("better-of-two-scales")
    assert "geochat" in metric.judge([_item("{<0><0><5><5>}", "[0 0 50 50]", codec="geochat")]).unavailable["score"]
    unknown = Item("1", "[0 0 50 50]", ("[0 0 50 50]",))
    assert "size" in metric.judge([unknown]).unavailable["score"]


def test_first_box_ignores_the_other_targets() -> None:
    item = _item("[0 0 100 100]", "[0 0 100 100] [500 500 600 600]")
    assert (_score("acc-0.5", item), _score("first-box", item), _score("one-to-one-f1", item)) == (
        0.0,
        1.0,
        pytest.approx(2 / 3),
    )


def test_union_joins_boxes() -> None:
    item = _item("[0 0 200 100]", "[0 0 100 100] [100 0 200 100]")
    assert (_score("acc-0.5", item), _score("union-polygon", item)) == (0.0, 1.0)


def test_cumulative_iou_weighs_large_objects_and_keeps_unparsable_answers() -> None:
    items = [_item("[0 0 1000 1000]", "[0 0 1000 1000]"), _item("[0 0 10 10]", "[500 500 600 600]")]
    areas = [64.0 * 64, 6.4 * 6.4, 0.64 * 0.64]
    expected = areas[0] / sum(areas)
    assert _score("cumulative-iou", *items) == pytest.approx(expected)
    assert _score("mean-iou", *items) == pytest.approx(0.5)
    assert _score("cumulative-iou", items[0], _item("?", "[0 0 1000 1000]")) == pytest.approx(0.5)


def test_ratios_by_hand() -> None:
    items = [_item("[0 0 100 100] [1 1 2 2] [3 3 4 4]", "[0 0 100 100] [500 500 600 600]")]
    means = {
        ratio: GroundingRatio(ratio=ratio).judge(items).judgements[0].score
        for ratio in ("box_precision", "box_recall", "box_f1")
    }
    assert means == {"box_precision": pytest.approx(1 / 3), "box_recall": 0.5, "box_f1": pytest.approx(0.4)}


def test_faulty_variants_are_flagged_and_the_default_is_not() -> None:
    flagged = {name for name, variant in PROTOCOL.variants.items() if variant.fault}
    assert flagged == {
        "ignore-angle",
        "plus-one-100-grid",
        "plus-one-unit-grid",
        "parsed-only",
        "matched-per-predicted",
        "better-of-two-scales",
    }
    multi = load_protocol("multi-target")
    assert {name for name, variant in multi.variants.items() if variant.fault} == {
        "any",
        "first",
        "matched-per-predicted",
    }
    assert multi.metric().name == "F1@0.5"


def test_random_unit_boxes_score_30_percent_with_plus_one_and_nothing_without() -> None:
    rng = np.random.default_rng(1)
    sides = rng.uniform(0.05, 0.2, (2, 400, 2))
    lows = rng.random((2, 400, 2)) * (1 - sides)
    predicted, wanted = np.concatenate([lows, lows + sides], axis=2).tolist()
    items = [
        Item(
            str(n),
            str([round(v, 3) for v in box]),
            (str([round(v, 3) for v in truth]),),
            codec="unit",
            reference_codec="unit",
        )
        for n, (box, truth) in enumerate(zip(predicted, wanted, strict=True))
    ]
    assert 0.2 < _score("plus-one-unit-grid", *items) < 0.4
    assert _score("acc-0.5", *items) < 0.02


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="read_as"):
        Grounding(read_as="both")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="box_recall"):
        GroundingRatio(ratio="recall")  # type: ignore[arg-type]
