"""CIDEr: by hand, against committed values of pycocoevalcap, and its plain form."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from geoprose.data.sentences.cider import cider
from geoprose.data.sentences.ngrams import encode_captions
from tests.fixtures.captions import VECTORS, drawn_captions, encoded, encoded_vectors


def test_cider_by_hand() -> None:
    # Two images, words of one not in the other: every n-gram has weight log 2. "a b" against itself: 1 at n = 1 and 2,
    # 0 at n = 3 and 4, so 10 * 2 / 4. "c" against "c d": n = 1 only, norms 1 and sqrt 2, one pair shorter.
    scores = cider(encoded(["a b", "c"], [["a b"], ["c d"]]))
    assert scores == pytest.approx([5.0, 10 / 4 / math.sqrt(2) * math.exp(-1 / 72)])
    assert cider(encoded(["a b"], [["a b"]])) == pytest.approx([0.0])  # one image: every n-gram is in every document


def test_cider_d_clips_repeated_words_and_cider_does_not() -> None:
    references = [["a b c"], ["d e f"]]
    once, thrice = encoded(["a b", "d"], references), encoded(["a a a b", "d"], references)
    assert cider(thrice)[0] < cider(once)[0]
    assert cider(thrice, is_clipped=False)[0] > cider(thrice)[0]


def test_values_of_pycocoevalcap() -> None:
    assert cider(encoded_vectors()) == pytest.approx(VECTORS["cider"], abs=1e-12)
    # negative control: another order of candidates is noticed
    assert cider(encoded_vectors(is_reversed=True)).mean() < 0.5 * np.mean(VECTORS["cider"])


@given(drawn_captions)
@settings(deadline=None, max_examples=60)
def test_the_fast_form_equals_the_plain_one(rows: list[tuple[list[str], list[list[str]]]]) -> None:
    candidates, references = [row[0] for row in rows], [row[1] for row in rows]
    assert cider(encode_captions(candidates, references)) == pytest.approx(_plain_cider(candidates, references))


def test_no_items_and_empty_captions() -> None:
    assert cider(encode_captions([], [])).size == 0
    assert cider(encode_captions([[], ["a"]], [[["a"]], [["b"]]]))[0] == 0


def _plain_cider(candidates: list[list[str]], references: list[list[list[str]]]) -> list[float]:
    def grams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    scores = []
    for candidate, own in zip(candidates, references, strict=True):
        total = 0.0
        for n in range(1, 5):
            documents = Counter(g for refs in references for g in set().union(*(grams(r, n) for r in refs)))
            idf = {
                g: math.log(len(references)) - math.log(max(documents[g], 1))
                for g in [*documents, *grams(candidate, n)]
            }
            mine = {g: c * idf[g] for g, c in grams(candidate, n).items()}
            for reference in own:
                theirs = {g: c * idf[g] for g, c in grams(reference, n).items()}
                norm = math.sqrt(sum(v**2 for v in mine.values()) * sum(v**2 for v in theirs.values()))
                dot = sum(min(v, theirs.get(g, 0.0)) * theirs.get(g, 0.0) for g, v in mine.items())
                gap = max(len(candidate) - 1, 0) - max(len(reference) - 1, 0)
                total += (dot / norm if norm else 0.0) * math.exp(-(gap**2) / 72)
        scores.append(10 * total / 4 / len(own))
    return scores
