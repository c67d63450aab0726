"""Recall at k with ties and duplicates."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.evaluation.metrics.retrieval import (
    Standing,
    image_to_text_ceiling,
    mean_recall,
    standing_of,
    text_to_image_ceiling,
)
from tests.evaluation.metrics.items import item, judge, score


def _caption(ranking: list[str], scores: dict[str, float], picture: str, *answers: str) -> object:
    return item(
        json.dumps(ranking), picture, id=f"{picture}#0", scores=scores, captions_of=picture, answers=list(answers)
    )


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([0.1, 0.2, 0.3]), min_size=1),
    st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3),
    st.integers(1, 7),
)
def test_expected_recall_is_the_mean_over_all_orders(scores: dict[str, float], relevant: set[str], k: int) -> None:
    standing = standing_of(scores, relevant)
    if standing is None:
        assert not relevant & set(scores)
        return
    orders = [sorted(order, key=lambda name: -scores[name]) for order in permutations(scores)]
    hits = [any(name in relevant for name in order[:k]) for order in orders]
    ranks = [next(place for place, name in enumerate(order, 1) if name in relevant) for order in orders]
    assert standing.recall(k) == pytest.approx(sum(hits) / len(hits))
    assert standing.rank() == pytest.approx(sum(ranks) / len(ranks))
    assert (standing.recall(k, "worst"), standing.recall(k, "best")) == (float(min(hits)), float(max(hits)))
    assert (standing.rank("worst"), standing.rank("best")) == (max(ranks), min(ranks))


@given(st.integers(0, 12), st.integers(1, 6), st.integers(1, 6))
def test_recall_grows_with_k_and_lies_between_its_ends(better: int, tied: int, relevant: int) -> None:
    standing = Standing(better, tied, min(tied, relevant))
    recalls = [standing.recall(k) for k in range(1, 25)]
    assert recalls == sorted(recalls)
    assert recalls[-1] == 1.0
    assert all(standing.recall(k, "worst") <= recalls[k - 1] <= standing.recall(k, "best") for k in range(1, 25))


def test_equal_scores_do_not_win() -> None:
    scores = {str(number): 0.5 for number in range(20)}
    blind = _caption([str(number) for number in range(10)], scores, "0", "0")
    assert judge("retrieval", "own-best", blind).judgements[0].extras["R@1"] == 1.0
    extras = judge("retrieval", "own-expected", blind).judgements[0].extras
    assert (extras["R@1"], extras["R@5"], extras["R@10"]) == pytest.approx((1 / 20, 5 / 20, 10 / 20))
    assert judge("retrieval", "own-worst", blind).judgements[0].extras["R@10"] == 0.0
    assert judge("retrieval", "own-expected", blind).corpus["num_queries_with_ties"] == 1


def test_the_last_bits_of_a_score_decide_nothing() -> None:
    scores = {"own#1": 0.5, "copy#1": 0.5 + 5e-8, "other#1": 0.5001}
    query = item("[]", "own#1", id="own", scores=scores, captions_of="own")
    extras = judge("retrieval", "own-expected", query).judgements[0].extras
    assert (extras["R@1"], judge("retrieval", "own-worst", query).judgements[0].extras["R@1"]) == (0.0, 0.0)
    del scores["other#1"]
    assert judge("retrieval", "own-expected", query).judgements[0].extras["R@1"] == 0.5


def test_a_duplicate_picture_is_right_where_duplicates_count() -> None:
    scores = {"copy": 0.9, "own": 0.8, "other": 0.1}
    query = _caption(["copy", "own", "other"], scores, "own", "own", "copy")
    assert judge("retrieval", "own-expected", query).judgements[0].extras["R@1"] == 0.0
    assert judge("retrieval", "duplicates-expected", query).judgements[0].extras["R@1"] == 1.0


def test_a_pictures_own_captions_are_found_by_their_ids() -> None:
    scores = {"p1#0": 0.1, "p1#1": 0.9, "p10#0": 0.95, "p2#0": 0.5}
    query = item(
        json.dumps(["p10#0", "p1#1"]), "p1#0", id="p1", scores=scores, captions_of="p1", answers=["p1#0", "p1#1"]
    )
    extras = judge("retrieval", "own-expected", query).judgements[0].extras
    assert (extras["R@1"], extras["R@5"]) == (0.0, 1.0)
    assert judge("retrieval", "own-expected", query).corpus["median_rank"] == 2.0


def test_lists_without_scores_are_taken_as_they_are() -> None:
    query = item(json.dumps(["x", "own"]), "own", id="own#1", captions_of="own")
    assert judge("retrieval", "own-expected", query).judgements[0].extras["R@5"] == 1.0
    assert score("retrieval", "as-listed", query) == pytest.approx(2 / 3)
    nothing = item("no list", "own", id="own#1", captions_of="own")
    judged = judge("retrieval", "own-expected", nothing)
    assert (judged.judgements[0].score, judged.judgements[0].is_parsed) == (0.0, False)
    half = judge("retrieval", "as-listed", query, nothing, nothing)
    assert "median_rank" not in half.corpus  # more than half are nowhere: the median is beyond the list


def test_the_listed_order_and_the_scores_agree_without_ties() -> None:
    scores = {"a": 0.3, "own": 0.2, "b": 0.1}
    query = _caption(["a", "own", "b"], scores, "own", "own")
    for variant in ("own-expected", "as-listed", "own-worst", "own-best", "duplicates-expected"):
        assert score("retrieval", variant, query) == pytest.approx(2 / 3), variant


def test_mean_recall_counts_directions_alike() -> None:
    directions = {
        "image_to_text": {"R@1": 0.1, "R@5": 0.2, "R@10": 0.3},
        "text_to_image": dict.fromkeys(("R@1", "R@5", "R@10"), 0.5),
    }
    assert mean_recall(directions) == pytest.approx((0.6 + 1.5) / 6)
    assert mean_recall({}) == 0.0


def test_ceilings_by_hand() -> None:
    captions = [("a", "1"), ("a", "1"), ("a", "2"), ("b", "2"), ("c", "3")]
    assert text_to_image_ceiling(captions) == pytest.approx(4 / 5)
    assert text_to_image_ceiling(captions, k=2) == 1.0
    assert image_to_text_ceiling(captions) == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert text_to_image_ceiling([("a", "1"), ("b", "2")]) == image_to_text_ceiling([("a", "1")]) == 1.0
    assert text_to_image_ceiling([]) == image_to_text_ceiling([]) == 0.0


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("123")), min_size=1, max_size=7))
def test_no_ranking_passes_the_ceiling(captions: list[tuple[str, str]]) -> None:
    pictures = sorted({picture for _, picture in captions})
    best = 0.0
    for first in permutations(pictures, len(pictures)):
        for second in permutations(pictures, len(pictures)):
            found = sum(picture == (first if text == "a" else second)[0] for text, picture in captions)
            best = max(best, found / len(captions))
    assert text_to_image_ceiling(captions) == pytest.approx(best)
