"""BLEU, ROUGE-L and CIDEr by hand, and against the published values of nlg-eval."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.captions import CaptionMetrics, bleu, cider, longest_common_subsequence, rouge_l
from geoprose.evaluation.metrics.tokens import tokenise_caption

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Many planes are parked, next to a terminal.", "many planes are parked next to a terminal"),
        ("There isn't a car; it's a truck!", "there is n't a car it 's a truck"),
        (
            "Some high-rise buildings (white) - near the U.S. border",
            "some high-rise buildings white near the u.s. border",
        ),
        ('About 1,000 trees and 3.5 roads: "dense"', "about 1,000 trees and 3.5 roads dense"),
        ("You cannot see it", "you can not see it"),
        ("", ""),
    ],
)
def test_tokeniser(text: str, tokens: str) -> None:
    assert tokenise_caption(text) == tokens.split()


def test_bleu_by_hand() -> None:
    # clipped: "the" counts twice at most; 5 of 7 words, 2 of 6 pairs match; candidate 7, closest reference 6
    scores = bleu([["the", "the", "cat", "sat", "on", "the", "mat"]], [[["the", "cat", "is", "on", "the", "mat"]]])
    assert scores[0] == pytest.approx(5 / 7)
    assert scores[1] == pytest.approx(math.sqrt(5 / 7 * 3 / 6))
    short = bleu([["a", "b"]], [[["a", "b", "c", "d"]]])
    assert short[0] == pytest.approx(math.exp(1 - 4 / 2))


def test_bleu_takes_the_closest_reference_length() -> None:
    references = [[["a"] * 9, ["x"] * 4]]
    assert bleu([["x"] * 5], references)[0] == pytest.approx(4 / 5)  # no brevity penalty: 4 is closer to 5 than 9


def test_lcs_and_rouge_by_hand() -> None:
    assert longest_common_subsequence(list("abcbdab"), list("bdcaba")) == 4
    # best precision 3/4 and best recall 3/3 come from two references
    score = rouge_l(list("abcd"), [list("abc"), list("axxd")])
    assert score == pytest.approx((1 + 1.44) * 0.75 * 1 / (1 + 1.44 * 0.75))
    assert rouge_l([], [["a"]]) == 0.0
    assert rouge_l(["z"], [["a"]]) == 0.0


def test_cider_by_hand() -> None:
    # Two images, words of one not in the other: every n-gram has weight log 2. "a b" against itself: 1 at n = 1 and 2,
    # 0 at n = 3 and 4, so 10 * 2 / 4. "c" against "c d": n = 1 only, norms 1 and sqrt 2, one pair shorter.
    scores = cider([["a", "b"], ["c"]], [[["a", "b"]], [["c", "d"]]])
    assert scores[0] == pytest.approx(5.0)
    assert scores[1] == pytest.approx(10 / 4 / math.sqrt(2) * math.exp(-1 / 72))


def test_cider_of_one_image_is_zero_by_definition() -> None:
    assert cider([["a", "b"]], [[["a", "b"]]]) == [0.0]


def test_repeated_words_do_not_help_cider() -> None:
    references = [[["a", "b", "c"]], [["d", "e", "f"]]]
    once, thrice = cider([["a"], ["d"]], references)[0], cider([["a"] * 3, ["d"]], references)[0]
    assert thrice < once * 1.05


def test_the_metric_reports_corpus_figures_and_failures() -> None:
    items = [Item("1", "A river.", ("a river", "one river")), Item("2", "", ("a town",))]
    judged = CaptionMetrics().judge(items)
    assert [judgement.is_parsed for judgement in judged.judgements] == [True, False]
    assert set(judged.corpus) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4"}
    assert judged.judgements[0].extras["rouge_l"] == pytest.approx(1.0)


@pytest.mark.data
def test_published_values_of_nlg_eval(shared_data: Path) -> None:
    vectors = json.loads((shared_data / "metric_vectors" / "nlg_eval.json").read_text())
    candidates = [tokenise_caption(text) for text in vectors["hyp"]]
    references = [[tokenise_caption(r[i]) for r in vectors["refs"]] for i in range(len(candidates))]
    expected = vectors["published_expected"]
    assert bleu(candidates, references) == pytest.approx([expected[f"Bleu_{n}"] for n in range(1, 5)], abs=1e-5)
    rouge = [rouge_l(c, r) for c, r in zip(candidates, references, strict=True)]
    assert sum(rouge) / len(rouge) == pytest.approx(expected["ROUGE_L"], abs=1e-5)
    values = cider(candidates, references)
    assert sum(values) / len(values) == pytest.approx(expected["CIDEr"], abs=1e-5)
