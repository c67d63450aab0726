"""Any JSON that a metric leaves becomes a chart or a table."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.report.tables import MAX_ROWS, show_table, show_tables

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def test_curves_and_reliability_become_charts() -> None:
    curve = {"kind": "curve", "x": [1, 2], "series": {"a": [0.5, 0.4], "b": [[1, 0.2], [3, 0.1]]}}
    bins = [{"low": 0.0, "high": 1.0, "n": 2, "confidence": 0.5, "accuracy": 0.5}]
    shown = show_tables({"gsd": curve, "reliability": {"kind": "reliability", "bins": bins, "ece": 0.1}})
    assert [one.chart is not None for one in shown] == [True, True, False]
    assert shown[2].rows == (("ece", "0.1"),)


def test_groups_become_a_table_with_bars() -> None:
    (shown,) = show_table("size", {"small": {"n": 4, "score": 0.25}, "large": {"n": 8, "score": 0.5, "extra": "x"}})
    assert shown.columns == ("", "n", "score", "extra")
    assert shown.rows == (("small", "4", "0.25", ""), ("large", "8", "0.5", "x"))
    assert shown.bars == (25.0, 50.0)


def test_a_level_deeper_becomes_a_table_each() -> None:
    shown = show_table("groups", {"size": {"small": {"n": 1, "score": 0.0}}, "unique": {"yes": {"n": 2, "score": 1.0}}})
    assert [one.title for one in shown] == ["groups: size", "groups: unique"]


def test_long_tables_are_cut_and_say_so() -> None:
    (shown,) = show_table("classes", {f"c{place}": {"n": place} for place in range(MAX_ROWS + 7)})
    assert (len(shown.rows), shown.left_out) == (MAX_ROWS, 7)


@given(JSON)
def test_any_value_can_be_shown(value: object) -> None:
    for shown in show_table("t", json.loads(json.dumps(value))):
        assert shown.chart is not None or all(len(row) == len(shown.columns) for row in shown.rows)
