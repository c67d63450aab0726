"""Several labels per picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.metrics.items import item, judge, score

LABELS = st.sets(st.sampled_from(["water", "road", "forest", "field"]), min_size=1)


def test_by_hand() -> None:
    rows = [item("water, road", "water, forest"), item("forest", "forest"), item("", "water")]
    judged = judge("multi-label", "list", *rows)
    assert [judgement.score for judgement in judged.judgements] == [0.5, 1.0, 0.0]
    # forest: named 1 of 2, rightly; water: named 1 of 2, rightly
    assert judged.corpus["average_class_precision"] == 1.0
    assert judged.corpus["average_class_recall"] == 0.5
    assert judged.corpus["macro_f1"] == pytest.approx(2 / 3)
    assert judged.tables["per_class"]["water"] == {"n": 2, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}


def test_vhm_reads_names_that_are_denied_and_inside_words() -> None:
    denied = item("no water, a railroad", "water, road")
    assert score("multi-label", "vhm-substring", denied) == 1.0
    assert score("multi-label", "list", denied) == 0.0
    # its figure is precision alone: a missed label costs nothing
    missed = [item("water", "water, road"), item("road", "road, water")]
    assert judge("multi-label", "vhm-substring", *missed).corpus["average_class_precision"] == 1.0
    assert score("multi-label", "list", *missed) < 1.0


@given(LABELS, LABELS)
def test_order_and_repeats_do_not_matter(answer: set[str], truth: set[str]) -> None:
    plain = item(", ".join(sorted(answer)), ", ".join(sorted(truth)))
    turned = item("; ".join([*sorted(answer, reverse=True), *answer]), " and ".join(sorted(truth, reverse=True)))
    assert score("multi-label", "list", plain) == score("multi-label", "list", turned)
    assert (score("multi-label", "list", plain) == 1.0) == (answer == truth)


def test_nothing_to_judge() -> None:
    assert judge("multi-label", "list").judgements == ()
