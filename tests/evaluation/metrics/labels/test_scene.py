"""Scene classification: every published reading of a class name, and where each goes wrong."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.answers.normalise import normalise_answer
from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.labels.classification import summarise_pairs
from geoprose.evaluation.metrics.labels.exact import ExactMatch
from geoprose.evaluation.metrics.labels.normalise_published import NORMALISERS, find_normaliser, normalise_vqa
from geoprose.evaluation.metrics.labels.substring import longest_common_substring, token_recall, treebank_tokens
from tests.evaluation.metrics.items import item, judge, score

CLASSES = ("airport", "beach", "denseresidential")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two boats, and the harbour.", "2 boats and harbour"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("1,000", "1000"),
        ("none", "0"),
        ("red/green", "red green"),
        ("3.5 m.", "3.5 m"),
    ],
)
def test_the_spelling_of_the_vqa_accuracy(text: str, expected: str) -> None:
    assert normalise_vqa(text) == expected


def test_a_minus_sign_belongs_to_its_number() -> None:
    assert normalise_answer("-5 m") == "-5 m"
    assert normalise_answer("bottom-left") == "bottom left"
    assert normalise_answer("3 - 5") == "3 5"


def test_unknown_normalisers_are_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'geochat'"):
        find_normaliser("geocat")


@given(st.sampled_from(sorted(NORMALISERS)), st.text(alphabet="aB .,-'1", max_size=20))
def test_equal_texts_stay_equal(name: str, text: str) -> None:
    normalise = find_normaliser(name)
    assert normalise(text) == NORMALISERS[name](text)
    if name not in ("none", "vqa"):
        assert normalise(text.upper()) == normalise(text.lower())


def test_geochat_compares_with_the_folder_name() -> None:
    spaced = item("Dense Residential.", "DenseResidential")
    assert score("scene", "geochat", spaced) == 1.0
    assert score("scene", "exact", spaced) == 0.0  # the words are not one word, unless the reader gives both
    assert score("scene", "geochat", item("residential", "DenseResidential")) == 0.0


def test_exact_gives_truths_and_one_label_per_class() -> None:
    judged = ExactMatch().judge([item("Forests", "forest", "forests"), item("water", "forest"), item("", "forest")])
    assert [(j.truth, j.label, j.score) for j in judged.judgements] == [
        ("forest", "forest", 1.0),
        ("forest", "water", 0.0),
        ("forest", "", 0.0),
    ]
    pairs = Counter((j.truth, j.label) for j in judged.judgements)
    assert summarise_pairs(pairs).oa == pytest.approx(sum(j.score for j in judged.judgements) / 3)
    assert [j.is_parsed for j in judged.judgements] == [True, True, False]


def test_exact_can_match_a_reference_that_is_only_an_article() -> None:
    assert score("vqa", "exact", item("A", "a")) == 1.0
    assert score("vqa", "exact", item("", "a")) == 0.0
    assert score("vqa", "exact", item("b", "a")) == 0.0


def test_known_classes_are_parsed_in_every_spelling() -> None:
    choices = frozenset({"dense residential", "beach"})
    wrong = Item("1", "Dense-Residential", ("beach",), choices=choices)
    assert ExactMatch(normaliser="geochat").judge([wrong]).judgements[0].is_parsed
    unknown = Item("1", "moon", ("beach",), choices=choices)
    assert not ExactMatch(normaliser="geochat").judge([unknown]).judgements[0].is_parsed


def test_earthdial_a_list_of_all_classes_is_always_right() -> None:
    everything = [item(", ".join(CLASSES), name) for name in CLASSES]
    assert score("scene", "earthdial-token-recall", *everything) == 1.0
    assert score("scene", "exact", *everything) == 0.0
    assert token_recall("Dense Residential", "dense residential") == 1.0
    assert token_recall("", "beach") == 0.0
    assert token_recall("beach", "") == 0.0


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("airport,beach,forest.", ["airport", ",", "beach", ",", "forest", "."]),
        ("st.louis", ["st.louis"]),
        ("1,000m2", ["1,000m2"]),
        ("rural/urban", ["rural/urban"]),
        ("open-land", ["open-land"]),
        ("park(city)", ["park", "(", "city", ")"]),
        ("a:b", ["a", ":", "b"]),
        ("'river'", ["'", "river", "'"]),
        ("a...b", ["a", "...", "b"]),
    ],
)
def test_tokens_as_nltk_gives_them(text: str, tokens: list[str]) -> None:
    assert treebank_tokens(text) == tokens


@pytest.mark.slow
def test_tokens_equal_nltk() -> None:
    tokenizer = pytest.importorskip("nltk.tokenize.destructive").NLTKWordTokenizer()
    words = ("beach", "st.louis", "open-land", "10m2", "1,000", "rural/urban", "o'hare")
    forms = ("{}", "{}.", "'{}'", "({})", "{},forest", "itis:{}", "{}...", "no!{}?", "a;{}", "{}&{}", "<{}>", "[{},{}]")
    for word in words:
        for form in forms:
            text = form.format(word, word)
            assert treebank_tokens(text) == tokenizer.tokenize(text), text


@settings(deadline=None)
@given(st.text(alphabet="ab.,:()-'1 ", max_size=12).map(lambda text: "".join(text.split())))
def test_tokens_keep_every_character(text: str) -> None:
    assert "".join(treebank_tokens(text)) == text


def test_lhrs_is_never_unparsable() -> None:
    empty = item("", "beach", options=list(CLASSES))
    sentence = item("I do not know.", "beach", options=list(CLASSES))
    for answer in (empty, sentence):
        assert judge("scene", "lhrs-nearest-class", answer).judgements[0].is_parsed
        assert score("scene", "exact", answer) == 0.0
    assert not judge("scene", "exact", empty).judgements[0].is_parsed
    # without a common character the published index is -1, which Python reads as the last class
    lucky = item("", "denseresidential", options=list(CLASSES))
    assert score("scene", "lhrs-nearest-class", lucky) == 1.0
    assert score("scene", "exact", lucky) == 0.0


def test_lhrs_publishes_balanced_accuracy() -> None:
    rows = [item("airport", "airport")] * 3 + [item("airport", "beach"), item("beach", "beach")]
    assert score("scene", "lhrs-nearest-class", *rows) == pytest.approx(4 / 5)
    assert judge("scene", "lhrs-nearest-class", *rows).corpus["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)


def test_lhrs_takes_the_longest_common_run() -> None:
    assert longest_common_substring("a sandy beach area", CLASSES) == "beach"
    assert longest_common_substring("xyz", ["b", "c"]) == "c"
    assert longest_common_substring("", []) == ""


@settings(deadline=None)
@given(st.text(alphabet="abrpt ", max_size=10))
def test_lhrs_equals_its_definition(text: str) -> None:
    sizes = [SequenceMatcher(None, text, name).find_longest_match(0, len(text), 0, len(name)).size for name in CLASSES]
    expected = CLASSES[sizes.index(max(sizes))] if max(sizes) else CLASSES[-1]
    assert longest_common_substring(text, CLASSES) == expected


def test_vhm_an_empty_answer_is_right_for_every_class() -> None:
    empty = [item("", name) for name in CLASSES]
    assert score("scene", "vhm-substring", *empty) == 1.0
    assert score("scene", "exact", *empty) == 0.0
