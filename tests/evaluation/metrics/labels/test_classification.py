"""Figures of a table of pairs: by hand, and equal to scikit-learn."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.evaluation.metrics.labels.classification import OTHER, summarise_pairs

PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcdxyz")), min_size=2, max_size=60)


def test_by_hand() -> None:
    # 3 of 4 forests and 1 of 2 waters are right; one forest was called water, one water has no answer.
    pairs = {("forest", "forest"): 3, ("forest", "water"): 1, ("water", "water"): 1, ("water", ""): 1}
    summary = summarise_pairs(pairs)
    assert summary.n == 6
    assert summary.oa == pytest.approx(4 / 6)
    assert summary.aa == summary.balanced_accuracy == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert summary.kappa == pytest.approx((4 / 6 - (4 * 3 + 2 * 2) / 36) / (1 - (4 * 3 + 2 * 2) / 36))
    assert summary.macro_f1 == pytest.approx((2 * 3 / (4 + 3) + 2 * 1 / (2 + 2)) / 2)
    assert summary.labels == ("forest", "water", OTHER)
    assert summary.counts == ((3, 1, 0), (0, 1, 1), (0, 0, 0))
    assert summary.per_class["forest"].precision == 1.0


def test_a_wrong_word_never_becomes_a_class() -> None:
    once = summarise_pairs({("a", "a"): 1, ("a", "moon"): 2})
    spread = summarise_pairs({("a", "a"): 1, ("a", "moon"): 1, ("a", "sun"): 1})
    assert once.macro_f1 == spread.macro_f1
    assert once.labels == ("a", OTHER)


def test_empty_tables_and_items_without_a_truth() -> None:
    empty = summarise_pairs({("", "a"): 5})
    assert (empty.n, empty.oa, empty.kappa, empty.labels) == (0, 0.0, 0.0, ())
    assert summarise_pairs({("a", "a"): 4}).kappa == 0.0  # one class that cannot be missed says nothing


def test_a_million_pairs_cost_what_their_table_costs() -> None:
    start = time.perf_counter()
    summary = summarise_pairs(Counter({(str(i % 100), str(i % 97)): 120 for i in range(9700)}))
    assert summary.n == 9700 * 120
    assert time.perf_counter() - start < 2
    assert summarise_pairs({(str(i), str(i)): 1 for i in range(500)}).labels == ()  # too large to show


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_equal_to_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truths, labels = [truth for truth, _ in pairs], [label for _, label in pairs]
    classes = sorted(set(truths))
    summary = summarise_pairs(Counter(pairs))
    assert summary.oa == pytest.approx(sklearn.accuracy_score(truths, labels))
    recalls = sklearn.recall_score(truths, labels, labels=classes, average=None, zero_division=0)
    assert summary.aa == pytest.approx(recalls.mean())
    for average, ours in (("macro", summary.macro_f1), ("micro", summary.micro_f1), ("weighted", summary.weighted_f1)):
        theirs = sklearn.f1_score(truths, labels, labels=classes, average=average, zero_division=0)
        assert ours == pytest.approx(theirs), average
    if len(classes) > 1:
        assert summary.kappa == pytest.approx(sklearn.cohen_kappa_score(truths, labels))
        matrix = sklearn.confusion_matrix(truths, labels, labels=classes)  # warns on a single class
        assert [list(row[: len(classes)]) for row in summary.counts[: len(classes)]] == matrix.tolist()


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_counts_add_up_and_names_do_not_matter(pairs: list[tuple[str, str]]) -> None:
    summary = summarise_pairs(Counter(pairs))
    assert sum(map(sum, summary.counts)) == len(pairs)
    renamed = summarise_pairs(Counter((f"class {truth}", f"class {label}") for truth, label in pairs))
    assert (renamed.oa, renamed.kappa) == pytest.approx((summary.oa, summary.kappa))
    assert renamed.macro_f1 == pytest.approx(summary.macro_f1)
