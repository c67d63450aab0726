"""Captions as numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from geoprose.core.errors import TaskError
from geoprose.data.sentences.ngrams import count_ngrams, encode_captions
from geoprose.data.sentences.tokens import tokenise_caption
from tests.fixtures.captions import VECTORS, drawn_captions


def test_words_of_pycocoevalcap() -> None:
    assert [" ".join(tokenise_caption(text)) for text in VECTORS["candidates"]] == VECTORS["tokens"]


def test_ngrams_of_one_sentence() -> None:
    words = ["a", "b", "a", "b"]
    assert list(count_ngrams(words, 2).items()) == [(("a", "b"), 2), (("b", "a"), 1)]
    assert not count_ngrams(words, 5)


@given(drawn_captions)
@settings(deadline=None, max_examples=60)
def test_a_sentence_has_a_gram_of_each_order_at_each_place(rows: list[tuple[list[str], list[list[str]]]]) -> None:
    captions = encode_captions([row[0] for row in rows], [row[1] for row in rows])
    references = [words for _, own in rows for words in own]
    for order, counts in enumerate(captions.orders, start=1):
        assert int(counts.count_E.sum()) == sum(max(len(words) - order + 1, 0) for words, _ in rows)
        assert int(counts.count_F.sum()) == sum(max(len(words) - order + 1, 0) for words in references)


def test_an_item_without_references_is_named() -> None:
    with pytest.raises(TaskError, match=r"1 captions have no reference \(the first is number 2\)"):
        encode_captions([["a"], ["b"]], [[["a"]], []])
