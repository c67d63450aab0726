"""BLEU and COCO's ROUGE-L: by hand, against committed values of the reference libraries, and simple forms."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.data.sentences.cider import cider
from geoprose.data.sentences.ngrams import EncodedCaptions, encode_captions
from geoprose.data.sentences.tokens import tokenise_13a, tokenise_caption
from geoprose.evaluation.metrics.text.bleu import bleu, sacrebleu_score
from geoprose.evaluation.metrics.text.rouge import longest_common_subsequence, rouge_l
from tests.fixtures.captions import VECTORS, drawn_captions, encoded, encoded_vectors

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def vectors() -> EncodedCaptions:
    return encoded_vectors()


def test_bleu_by_hand() -> None:
    # clipped: "the" counts twice at most; 5 of 7 words, 3 of 6 pairs match
    scores = bleu(encoded(["the the cat sat on the mat"], [["the cat is on the mat"]]))
    assert scores[0] == pytest.approx(5 / 7)
    assert scores[1] == pytest.approx(math.sqrt(5 / 7 * 3 / 6))
    assert bleu(encoded(["a b"], [["a b c d"]]))[0] == pytest.approx(math.exp(1 - 4 / 2))


def test_the_reference_length_is_an_option() -> None:
    captions = encoded(["x x x x x"], [["a a a a a a a a a", "x x x x"]])
    assert bleu(captions)[0] == pytest.approx(4 / 5)  # 4 is closer to 5 than 9: no brevity penalty
    assert bleu(captions, "shortest")[0] == pytest.approx(4 / 5)
    assert bleu(captions, "average")[0] == pytest.approx(4 / 5 * math.exp(1 - 6.5 / 5))
    # two as close: the shorter one
    assert bleu(encoded(["x x"], [["x", "x x x"]]))[0] == pytest.approx(1)


@pytest.mark.parametrize("which", ["closest", "shortest", "average"])
def test_bleu_of_pycocoevalcap(vectors: EncodedCaptions, which: Any) -> None:
    assert bleu(vectors, which) == pytest.approx(VECTORS[f"bleu_{which}"], abs=1e-12)


def test_rouge_l_of_pycocoevalcap(vectors: EncodedCaptions) -> None:
    assert rouge_l(vectors) == pytest.approx(VECTORS["rouge_l"], abs=1e-12)
    # negative control: another order of candidates is noticed
    assert rouge_l(encoded_vectors(is_reversed=True)).mean() < 0.8 * np.mean(VECTORS["rouge_l"])


def test_sacrebleu_values() -> None:
    own = [[tokenise_13a(text) for text in references] for references in VECTORS["references"]]
    words = [tokenise_13a(text) for text in VECTORS["candidates"]]
    assert sacrebleu_score(encode_captions(words, own)) == pytest.approx(VECTORS["sacrebleu"], abs=1e-9)
    alone = [
        sacrebleu_score(encode_captions([w], [r]), is_effective_order=True) for w, r in zip(words, own, strict=True)
    ]
    assert alone == pytest.approx(VECTORS["sacrebleu_sentences"], abs=1e-9)


@given(drawn_captions)
@settings(deadline=None, max_examples=60)
def test_the_fast_rouge_l_equals_the_plain_one(rows: list[tuple[list[str], list[list[str]]]]) -> None:
    fast = encode_captions([row[0] for row in rows], [row[1] for row in rows])
    assert rouge_l(fast) == pytest.approx([_plain_rouge(c, r) for c, r in rows])


@given(st.lists(st.integers(0, 3), max_size=90), st.lists(st.integers(0, 3), max_size=90))
@settings(deadline=None)
def test_bit_parallel_lcs(first: list[int], second: list[int]) -> None:
    length = _plain_lcs(first, second)
    assert longest_common_subsequence(first, second) == length
    words = encode_captions([[str(w) for w in first]], [[[str(w) for w in second], ["0"]]])
    expected = _plain_rouge([str(w) for w in first], [[str(w) for w in second], ["0"]])
    assert rouge_l(words) == pytest.approx([expected])


def test_no_items_and_empty_captions() -> None:
    assert rouge_l(encode_captions([], [])).size == 0
    assert rouge_l(encode_captions([[], ["a"]], [[["a"]], [["b"]]]))[0] == 0


@pytest.mark.data
def test_published_values_of_nlg_eval(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "metric_vectors" / "nlg_eval.json").read_text())
    expected, alone = vectors["published_expected"], vectors["individual"]
    captions = encode_captions(
        [tokenise_caption(text) for text in vectors["hyp"]],
        [[tokenise_caption(own[place]) for own in vectors["refs"]] for place in range(2)],
    )
    assert bleu(captions) == pytest.approx([expected[f"Bleu_{n}"] for n in range(1, 5)], abs=1e-6)
    assert rouge_l(captions).mean() == pytest.approx(expected["ROUGE_L"], abs=1e-6)
    assert cider(captions).mean() == pytest.approx(expected["CIDEr"], abs=1e-6)
    one = encode_captions([tokenise_caption(alone["hyp"])], [[tokenise_caption(text) for text in alone["ref"]]])
    assert bleu(one) == pytest.approx([alone["expected"][f"Bleu_{n}"] for n in range(1, 5)], abs=1e-6)
    assert rouge_l(one)[0] == pytest.approx(alone["expected"]["ROUGE_L"], abs=1e-6)


def _plain_lcs(first: list[Any], second: list[Any]) -> int:
    row = [0] * (len(second) + 1)
    for one in first:
        above = row[:]
        for place, other in enumerate(second):
            row[place + 1] = above[place] + 1 if one == other else max(above[place + 1], row[place])
    return row[-1]


def _plain_rouge(candidate: list[str], references: list[list[str]]) -> float:
    lengths = [_plain_lcs(candidate, own) for own in references]
    precision = max(lengths) / max(len(candidate), 1)
    recall = max(length / max(len(own), 1) for length, own in zip(lengths, references, strict=True))
    return (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision) if precision and recall else 0.0
