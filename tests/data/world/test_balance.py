from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from geoprose.data.world.balance import Candidate, choose
from geoprose.data.world.quotas import Quota
from geoprose.data.world.tiles import Tile, TileFacts


def _candidate(question: str, answer: str, tile: int) -> Candidate:
    facts = TileFacts(Tile(tile, 0, 4, str(tile)), np.zeros((4, 4), np.uint8), np.zeros(8), np.zeros((4, 4, 8)))
    return Candidate("presence", question, answer, (answer,), (facts,))


def _pool(counts: dict[tuple[str, str], int]) -> list[Candidate]:
    return [_candidate(q, a, 1000 * i + n) for i, ((q, a), count) in enumerate(counts.items()) for n in range(count)]


def _count(chosen: list[Candidate]) -> Counter[tuple[str, str]]:
    return Counter((candidate.question, candidate.answer) for candidate in chosen)


def test_answers_are_equally_frequent_within_each_wording():
    pool = _pool({("a?", "yes"): 50, ("a?", "no"): 7, ("b?", "yes"): 3, ("b?", "no"): 90})
    counts = _count(choose(pool, Quota(total=1000), seed=0))
    assert counts == {("a?", "yes"): 7, ("a?", "no"): 7, ("b?", "yes"): 3, ("b?", "no"): 3}


def test_the_quota_is_shared_by_the_wordings():
    pool = _pool({(q, a): 50 for q in ("a?", "b?", "c?") for a in ("yes", "no")})
    counts = _count(choose(pool, Quota(total=60), seed=0))
    assert set(counts.values()) == {10}


def test_a_wording_with_one_answer_is_dropped():
    chosen = choose(_pool({("a?", "yes"): 50, ("b?", "yes"): 5, ("b?", "no"): 5}), Quota(total=100), seed=0)
    assert {candidate.question for candidate in chosen} == {"b?"}


def test_answers_may_be_uneven_up_to_a_limit_each():
    pool = _pool({("what?", "forest"): 30, ("what?", "water"): 30, ("what?", "ice"): 3})
    counts = _count(choose(pool, Quota(total=1000, is_even=False, per_answer=16), seed=0))
    assert counts == {("what?", "forest"): 16, ("what?", "water"): 16, ("what?", "ice"): 3}


def test_a_single_rare_answer_does_not_starve_the_rest():
    pool = _pool({("what?", "forest"): 30, ("what?", "water"): 30, ("what?", "ice"): 1})
    counts = _count(choose(pool, Quota(total=1000, at_least=2), seed=0))
    assert counts == {("what?", "forest"): 2, ("what?", "water"): 2, ("what?", "ice"): 1}


def test_a_stratum_stands_in_for_answers_that_hardly_repeat():
    pool = [replace(_candidate("where?", str(n), n), stratum="west" if n < 40 else "east") for n in range(50)]
    counts = Counter(c.stratum for c in choose(pool, Quota(total=12, is_even=False), seed=0))
    assert counts == {"west": 6, "east": 6}


def test_no_tile_is_asked_about_too_often():
    pool = [_candidate(f"{q}?", a, tile) for q in range(20) for a in ("yes", "no") for tile in range(6)]
    chosen = choose(pool, Quota(total=1000, per_tile=3), seed=0)
    asked = Counter(facts.tile.id for candidate in chosen for facts in candidate.facts)
    assert max(asked.values()) == 3
    counts = _count(chosen)
    assert all(counts[q, "yes"] == counts[q, "no"] for q, _ in counts)


def test_an_answer_whose_tiles_are_used_up_is_left_out():
    # "c" may only be taken from the tile that the wording before it has used up.
    pool = [_candidate("1?", a, tile) for a, tile in (("a", 1), ("b", 2))]
    pool += [_candidate("2?", a, tile) for a, tile in (("a", 3), ("b", 4), ("c", 1))]
    counts = _count(choose(pool, Quota(total=10, per_tile=1), seed=0))
    assert counts == {("1?", "a"): 1, ("1?", "b"): 1, ("2?", "a"): 1, ("2?", "b"): 1}


def test_the_choice_depends_on_the_seed_and_not_on_the_order():
    pool = _pool({(q, a): 50 for q in ("a?", "b?") for a in ("yes", "no")})
    first = [candidate.key for candidate in choose(pool, Quota(total=40), seed=0)]
    assert [candidate.key for candidate in choose(pool[::-1], Quota(total=40), seed=0)] == first
    assert [candidate.key for candidate in choose(pool, Quota(total=40), seed=1)] != first
