"""What the templates get: verdicts from paired intervals, variants beside their own metric."""

from __future__ import annotations

import pytest

from geoprose.evaluation.report.context import cards, intervals_text, score_rows, variants_of
from geoprose.evaluation.report.figures import PERCENT
from tests.fixtures.runs import block, scene_block


@pytest.mark.parametrize(("ci95", "verdict"), [([0.01, 0.2], "above"), ([-0.1, 0.1], "near"), ([-0.3, -0.1], "below")])
def test_the_verdict_asks_for_the_whole_interval(ci95: list[float], verdict: str) -> None:
    result = {
        "by_type": {"a": block(0.5)},
        "baselines": {"shuffled": {"by_type": {"a": block(0.4)}}},
        "differences": {"shuffled": {"by_type": {"a": {"n": 12, "difference": 0.1, "ci95": ci95}}}},
    }
    (row,) = score_rows(result, {})
    assert row.cells == (("40.0", "+10.0", verdict),)
    assert (row.low, row.high, row.marks) == (40.0, 60.0, (("shuffled", 40.0),))


def test_a_score_beyond_100_has_no_bar() -> None:
    cider = {"n": 3, "metric": "CIDEr", "score": 3.48, "accuracy": None, "ci95": [2.9, 4.1]}
    (row,) = score_rows({"by_type": {"caption": cider}}, {"types": {"caption": {"chance": "the most frequent"}}})
    assert (row.unit, row.low, row.chance) == ("x 100", None, "the most frequent")


def test_the_default_variant_is_known_and_other_metrics_have_no_difference() -> None:
    own = scene_block()
    own["variants"]["nearest"] = {**own["variants"]["geochat"], "metric": "nearest-class accuracy"}
    (found,) = variants_of({"by_type": {"scene": own}}, {})
    gaps = {name: gap for name, _, gap, _, _ in found.rows}
    assert found.protocol == "scene"
    assert gaps == {"exact": "default", "geochat": "+10.0", "vhm-substring": "+25.0", "nearest": ""}


def test_the_cards_name_at_most_three_baselines() -> None:
    gap = {"overall": {"n": 1, "difference": 0.1, "ci95": [0, 0.2]}}
    names = ("majority", "majority_per_question", "shuffled", "blind", "previous", "colour")
    result = {"overall": block(0.5), "differences": dict.fromkeys(names, gap), "parse_failures": {"n": 2, "rate": 0.1}}
    labels = [card["label"] for card in cards(result)]
    assert labels[0] == "overall score"
    assert labels[1:4] == [
        "above: an earlier run",
        "above: same system, pictures shuffled",
        "above: system trained without pictures",
    ]
    assert labels[4:] == ["answers that could not be read"]


def test_intervals() -> None:
    assert intervals_text({"ci95": [0.1, 0.25], "score": 0.2}, PERCENT) == "10.0 to 25.0"
    assert intervals_text({"ci95": None, "score": 0.2}, PERCENT) == "too few pictures"
    assert intervals_text({"ci95": [1.0, 1.0], "score": 1.0}, PERCENT) == "100.0 to 100.0"
    assert intervals_text({}, PERCENT) == ""
