"""Confusion matrices from the result or from the judgements."""

from __future__ import annotations

from geoprose.evaluation.report.confusion import MAX_CLASSES, OTHER, confusions
from geoprose.evaluation.report.files import ScoreRow


def test_the_block_is_shown_with_its_summary() -> None:
    block = {
        "confusion": {"labels": ["a", "b", OTHER], "counts": [[3, 1, 0], [0, 1, 1], [0, 0, 0]]},
        "oa": 0.5,
        "aa": 0.6,
    }
    (matrix,) = confusions({"scene": block}, [])
    assert matrix.labels == ("a", "b", OTHER)
    assert matrix.rows == (("a", 4, ((3, 0.75), (1, 0.25), (0, 0.0))), ("b", 2, ((0, 0.0), (1, 0.5), (1, 0.5))))
    assert matrix.mistakes == (("a", "b", 1), ("b", OTHER, 1))
    assert matrix.summary == (("OA", 0.5), ("AA", 0.6))


def test_judgements_serve_where_the_block_has_none() -> None:
    rows = [
        ScoreRow("1", "scene", 1, True, "a", "a"),
        ScoreRow("2", "scene", 0, True, "zebra", "b"),
        ScoreRow("3", "scene", 0, False, "b", "b"),  # not parsed: no label was read
        ScoreRow("4", "caption", 0, True, "words", ""),
    ]
    (matrix,) = confusions({"scene": {}, "caption": {}}, rows)
    assert matrix.labels == ("a", "b", OTHER)
    assert matrix.rows[1] == ("b", 2, ((0, 0.0), (0, 0.0), (2, 1.0)))


def test_the_largest_classes_are_kept_and_the_rest_counted() -> None:
    labels = [f"c{place:03}" for place in range(MAX_CLASSES + 5)]
    counts = [[place + 1 if row == place else 0 for row in range(len(labels))] for place in range(len(labels))]
    (matrix,) = confusions({"scene": {"confusion": {"labels": labels, "counts": counts}}}, [])
    assert (len(matrix.rows), matrix.left_out) == (MAX_CLASSES, 5)
    assert matrix.rows[0][0] == "c005"
