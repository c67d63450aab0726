"""Which sentence of a picture the others agree with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.data.sentences.agreement import agreements
from geoprose.data.sentences.cider import cider
from geoprose.data.sentences.ngrams import encode_captions

OTHERS = [["a boat in a port ."] * 2, ["two fields ."] * 2, ["waves on a beach ."] * 2]
words = st.lists(st.sampled_from(["tree", "road", "pond", "house"]), min_size=1, max_size=6).map(" ".join)
pictures = st.lists(st.lists(words, max_size=5), min_size=1, max_size=6)


def test_an_odd_sentence_agrees_least_and_a_common_one_gets_all() -> None:
    own = ["many trees near a bridge .", "many green trees near a bridge .", "it assumes the responsibility of cars ."]
    found = agreements([own, *OTHERS])
    assert list(found[0]) == own
    assert min(found[0], key=found[0].__getitem__) == own[2]
    assert found[1] == {"a boat in a port .": pytest.approx(10.0)}


def test_repeats_are_votes() -> None:
    once = agreements([["a wide river .", "a dark road ."], *OTHERS])[0]
    twice = agreements([["a wide river .", "a dark road .", "a dark road ."], *OTHERS])[0]
    assert once["a wide river ."] == pytest.approx(once["a dark road ."])
    assert twice["a dark road ."] > once["a dark road ."] > twice["a wide river ."]


@given(pictures)
def test_each_is_the_cider_of_the_sentence_among_its_picture(sentences: list[list[str]]) -> None:
    found = agreements(sentences)
    assert [list(scored) for scored in found] == [list(dict.fromkeys(own)) for own in sentences]
    described = [[text.split() for text in own] or [[]] for own in sentences]
    for place, own in enumerate(sentences):
        for text in own:
            candidates = [text.split() if other == place else [] for other in range(len(sentences))]
            expected = cider(encode_captions(candidates, described))[place]
            assert found[place][text] == pytest.approx(expected, abs=1e-12)


def test_nothing_is_nothing() -> None:
    assert agreements([]) == []
    assert agreements([[]]) == [{}]
