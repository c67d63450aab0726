"""Shares are printed as percent, errors as they are."""

from __future__ import annotations

import pytest

from geoprose.evaluation.report.figures import PERCENT, RAW, TIMES_100, show, show_plain, unit_of, unit_of_block


@pytest.mark.parametrize(
    ("metric", "accuracy", "unit"),
    [("accuracy", 0.5, PERCENT), ("CIDEr", None, TIMES_100), ("MAE", None, RAW), ("mean_rank", None, RAW),
     ("rmse", None, RAW), ("grammar", None, TIMES_100)],
)  # fmt: skip
def test_units(metric: str, accuracy: float | None, unit: str) -> None:
    assert unit_of(metric, accuracy) == unit


def test_a_variant_says_itself_whether_it_is_a_share() -> None:
    assert unit_of_block({"metric": "accuracy", "is_accuracy": True}) == PERCENT
    assert unit_of_block({"metric": "MAE", "is_accuracy": False}) == RAW


def test_printing() -> None:
    assert show(0.1234, PERCENT) == "12.3"
    assert show(0.1, PERCENT, has_sign=True) == "+10.0"
    assert show(3.456, RAW) == "3.46"
    assert show(None, PERCENT) == "-"
    assert [show_plain(value) for value in (True, None, 12345, 0.123456, "a")] == ["yes", "-", "12,345", "0.1235", "a"]
