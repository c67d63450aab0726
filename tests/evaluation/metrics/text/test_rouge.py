"""ROUGE-1/2/L F1 and the stemmer below them, against rouge-score and nltk where they are installed."""

from __future__ import annotations

import random

import pytest

from geoprose.evaluation.metrics.text.porter import stem
from geoprose.evaluation.metrics.text.rouge import rouge_l_f1, rouge_n_f1, tokenise_rouge
from tests.fixtures.captions import VECTORS

_TEXT = (
    "caresses ponies ties cats agreed plastered motoring conflated sized hopping falling filing happy sky "
    "skies dying relational conditional valenci digitizer radically vietnamization predication operator "
    "feudalism decisiveness hopefulness formaliti sensitiviti hopefully triplicate electrical goodness "
    "revival allowance inference airliner adjustable replacement adoption homologou effective probate rate "
    "cease controll roll enjoy cry flies news innings is as archaeology roofed buildings houses densely "
    "stadium green parking vehicles railways industrial analogies "
)
WORDS = _TEXT.split()


def test_by_hand() -> None:
    own, other = ["a", "red", "car", "near", "a", "road"], ["the", "red", "car", "is", "near", "the", "road"]
    assert rouge_n_f1(own, other, 1) == pytest.approx(2 * 4 / 13)
    assert rouge_n_f1(own, other, 2) == pytest.approx(2 * 1 / 11)
    assert rouge_l_f1(own, other) == pytest.approx(2 * 4 / 13)
    assert rouge_l_f1([], other) == rouge_n_f1([], [], 1) == 0.0


@pytest.mark.parametrize("is_stemmed", [True, False])
def test_values_of_rouge_score(is_stemmed: bool) -> None:
    kind = "stem" if is_stemmed else "plain"
    for place, (candidate, own) in enumerate(zip(VECTORS["candidates"], VECTORS["references"], strict=True)):
        words = tokenise_rouge(candidate, is_stemmed)
        references = [tokenise_rouge(text, is_stemmed) for text in own]
        assert [rouge_n_f1(words, r, 1) for r in references] == pytest.approx(VECTORS[f"rouge1_{kind}"][place])
        assert [rouge_n_f1(words, r, 2) for r in references] == pytest.approx(VECTORS[f"rouge2_{kind}"][place])
        assert [rouge_l_f1(words, r) for r in references] == pytest.approx(VECTORS[f"rougeL_{kind}"][place])


def test_the_stemmer_is_nltks() -> None:
    porter = pytest.importorskip("nltk.stem.porter").PorterStemmer()
    draw = random.Random(0)
    endings = ("", "s", "ed", "ing", "ly", "ness", "ation", "ies", "ied", "eed", "alli", "fulli", "logi", "ment")
    words = [*WORDS, *(draw.choice(WORDS)[: draw.randint(1, 9)] + draw.choice(endings) for _ in range(3000))]
    assert [word for word in words if stem(word) != porter.stem(word)] == []


def test_the_package_rouge_score_agrees() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(
        ["rouge1", "rouge2", "rougeL"], use_stemmer=True
    )
    draw = random.Random(1)
    for _ in range(200):
        own, other = (" ".join(draw.choices(WORDS[:20], k=draw.randint(0, 12))) for _ in range(2))
        theirs = scorer.score(other, own)
        words, reference = tokenise_rouge(own, is_stemmed=True), tokenise_rouge(other, is_stemmed=True)
        assert rouge_n_f1(words, reference, 1) == pytest.approx(theirs["rouge1"].fmeasure)
        assert rouge_n_f1(words, reference, 2) == pytest.approx(theirs["rouge2"].fmeasure)
        assert rouge_l_f1(words, reference) == pytest.approx(theirs["rougeL"].fmeasure)


def test_sacrebleu_agrees() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    from geoprose.data.sentences.ngrams import encode_captions
    from geoprose.data.sentences.tokens import tokenise_13a
    from geoprose.evaluation.metrics.text.bleu import sacrebleu_score

    draw = random.Random(2)
    pieces = [*WORDS[:12], "a,b", "3.5", "(x)", "3-lane", "The", "end.", "&amp;", '"q"']
    own = [" ".join(draw.choices(pieces, k=draw.randint(1, 12))) for _ in range(80)]
    streams = [[" ".join(draw.choices(pieces, k=draw.randint(1, 12))) for _ in own] for _ in range(3)]
    expected = sacrebleu.corpus_bleu(own, streams, force=True).score
    references = [[tokenise_13a(stream[place]) for stream in streams] for place in range(len(own))]
    ours = sacrebleu_score(encode_captions([tokenise_13a(text) for text in own], references))
    assert ours == pytest.approx(expected, abs=1e-9)
    assert expected > 0
