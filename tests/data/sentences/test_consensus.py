"""Which sentence is typical of its scene."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.data.sentences.consensus import consensus

words = st.lists(st.sampled_from(["tree", "road", "pond", "house"]), min_size=1, max_size=5).map(" ".join)
pictures = st.lists(st.tuples(st.lists(words, max_size=3), st.sampled_from(["port", "park"])), min_size=1, max_size=4)


def test_what_others_say_of_the_scene_is_typical_and_an_odd_remark_is_not() -> None:
    own = ["it assumes the responsibility of cars .", "many green trees near a bridge ."]
    bridges = [own, ["some green trees near a bridge ."], ["many green trees are near a long bridge ."]]
    ports = [["many boats in a port ."], ["a port with many boats ."]]
    found = consensus([*bridges, *ports], ["bridge"] * 3 + ["port"] * 2)
    assert list(found[0]) == own
    assert found[0][own[1]] > 3.0
    assert found[0][own[0]] == 0.0


def test_own_sentences_and_repeats_do_not_count() -> None:
    scenes = ["pond", "pond", "road", "road"]
    others = [["a pond ."], ["cars on a road ."], ["a wide road ."]]
    once = consensus([["a dark pond .", "a dark house ."], *others], scenes)
    assert once == consensus([["a dark pond .", "a dark house .", "a dark pond ."], *others], scenes)
    assert once[0]["a dark pond ."] > 0.5
    assert once[0]["a dark house ."] == 0.0, "only the picture's own sentence says dark too"
    alone = consensus([["a pond .", "a pond ."], *others[1:]], ["pond", "road", "road"])
    assert alone[0] == {"a pond .": 0.0}


@settings(max_examples=40, deadline=None)
@given(pictures)
def test_it_is_the_mean_cosine_with_the_sentences_of_the_scenes_other_pictures(
    described: list[tuple[list[str], str]],
) -> None:
    found = consensus([texts for texts, _ in described], [scene for _, scene in described])
    assert [list(values) for values in found] == [list(dict.fromkeys(texts)) for texts, _ in described]
    for place, (texts, scene) in enumerate(described):
        others = [t for n, (o, s) in enumerate(described) if s == scene and n != place for t in dict.fromkeys(o)]
        for text in texts:
            values = [_cosines([t for t, _ in described], text, other) for other in others]
            assert found[place][text] == pytest.approx(sum(values) / max(1, len(values)), abs=1e-9)


def _cosines(documents: list[list[str]], left: str, right: str) -> float:
    """Return ten times the mean over n of the cosine of TF-IDF vectors, term by term as in the paper."""
    total = 0.0
    for n in (1, 2, 3, 4):
        one, two = (_grams(text, n) for text in (left, right))
        frequency = {g: sum(any(g in _grams(t, n) for t in texts) for texts in documents) for g in one | two}
        weights = {g: math.log(len(documents) / count) for g, count in frequency.items()}
        dot = sum(one[g] * two[g] * weights[g] ** 2 for g in weights)
        norms = [math.sqrt(sum((c * weights[g]) ** 2 for g, c in own.items())) for own in (one, two)]
        total += dot / (norms[0] * norms[1]) if all(norms) else 0.0
    return 10.0 * total / 4


def _grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    said = text.split()
    return Counter(tuple(said[start : start + n]) for start in range(len(said) - n + 1))


def test_nothing_is_nothing() -> None:
    assert consensus([], []) == []
    assert consensus([[]], ["pond"]) == [{}]
