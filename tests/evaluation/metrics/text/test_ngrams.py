"""BLEU, CIDEr and COCO's ROUGE-L: by hand, against committed values of the reference libraries, and simple forms."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.core.errors import TaskError
from geoprose.data.sentences.cider import cider
from geoprose.data.sentences.ngrams import EncodedCaptions, encode_captions
from geoprose.data.sentences.tokens import tokenise_13a, tokenise_caption
from geoprose.evaluation.metrics.text.bleu import bleu, sacrebleu_score
from geoprose.evaluation.metrics.text.rouge import longest_common_subsequence, rouge_l

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "captions.json").read_text())
sentences = st.lists(st.sampled_from("abcd"), max_size=9)
captions = st.lists(st.tuples(sentences, st.lists(sentences, min_size=1, max_size=4)), min_size=1, max_size=5)


def encoded(candidates: list[str], references: list[list[str]]) -> EncodedCaptions:
    return encode_captions([text.split() for text in candidates], [[t.split() for t in own] for own in references])


@pytest.fixture(scope="module")
def vectors() -> EncodedCaptions:
    candidates = [tokenise_caption(text) for text in VECTORS["candidates"]]
    assert [" ".join(words) for words in candidates] == VECTORS["tokens"]
    return encode_captions(candidates, [[tokenise_caption(text) for text in own] for own in VECTORS["references"]])


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


@pytest.mark.parametrize("which", ["closest", "shortest", "average"])
def test_bleu_of_pycocoevalcap(vectors: EncodedCaptions, which: Any) -> None:
    assert bleu(vectors, which) == pytest.approx(VECTORS[f"bleu_{which}"], abs=1e-12)


def test_cider_and_rouge_l_of_pycocoevalcap(vectors: EncodedCaptions) -> None:
    assert cider(vectors) == pytest.approx(VECTORS["cider"], abs=1e-12)
    assert rouge_l(vectors) == pytest.approx(VECTORS["rouge_l"], abs=1e-12)
    # negative control: another order of candidates is noticed
    shuffled = encode_captions(
        [tokenise_caption(text) for text in reversed(VECTORS["candidates"])],
        [[tokenise_caption(text) for text in own] for own in VECTORS["references"]],
    )
    assert cider(shuffled).mean() < 0.5 * np.mean(VECTORS["cider"])


def test_sacrebleu_values() -> None:
    own = [[tokenise_13a(text) for text in references] for references in VECTORS["references"]]
    words = [tokenise_13a(text) for text in VECTORS["candidates"]]
    assert sacrebleu_score(encode_captions(words, own)) == pytest.approx(VECTORS["sacrebleu"], abs=1e-9)
    alone = [
        sacrebleu_score(encode_captions([w], [r]), is_effective_order=True) for w, r in zip(words, own, strict=True)
    ]
    assert alone == pytest.approx(VECTORS["sacrebleu_sentences"], abs=1e-9)


@given(captions)
@settings(deadline=None, max_examples=60)
def test_the_fast_forms_equal_the_plain_ones(rows: list[tuple[list[str], list[list[str]]]]) -> None:
    candidates, references = [row[0] for row in rows], [row[1] for row in rows]
    fast = encode_captions(candidates, references)
    assert cider(fast) == pytest.approx(_plain_cider(candidates, references))
    assert rouge_l(fast) == pytest.approx([_plain_rouge(c, r) for c, r in rows])
    for order, counts in enumerate(fast.orders, start=1):
        assert int(counts.count_E.sum()) == sum(max(len(words) - order + 1, 0) for words in candidates)


@given(st.lists(st.integers(0, 3), max_size=90), st.lists(st.integers(0, 3), max_size=90))
@settings(deadline=None)
def test_bit_parallel_lcs(first: list[int], second: list[int]) -> None:
    length = _plain_lcs(first, second)
    assert longest_common_subsequence(first, second) == length
    words = encode_captions([[str(w) for w in first]], [[[str(w) for w in second], ["0"]]])
    expected = _plain_rouge([str(w) for w in first], [[str(w) for w in second], ["0"]])
    assert rouge_l(words) == pytest.approx([expected])


def test_an_item_without_references_is_named() -> None:
    with pytest.raises(TaskError, match=r"1 captions have no reference \(the first is number 2\)"):
        encode_captions([["a"], ["b"]], [[["a"]], []])


def test_no_items_and_empty_captions() -> None:
    nothing = encode_captions([], [])
    assert cider(nothing).size == rouge_l(nothing).size == 0
    empty = encode_captions([[], ["a"]], [[["a"]], [["b"]]])
    assert cider(empty)[0] == 0
    assert rouge_l(empty)[0] == 0


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
