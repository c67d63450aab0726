"""Multiple choice: letters, several letters, all orders, and what published rules read into sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.questions.choice import right_letters
from geoprose.evaluation.metrics.questions.choice_rules import RULES, find_rule, letters_of, read_letters, read_strict
from tests.evaluation.metrics.items import item, judge, score

OPTIONS = ["harbor", "airport", "bridge", "dam"]


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B. airport", "B"),
        ("**B**", "B"),
        ("b) airport", "B"),
        ("The answer is B.", "B"),
        ("The correct option is (b).", "B"),
        ("Answer: B because of the runway", "B"),
        ("I think it is (B) as there are planes", "B"),
        ("Airport", "B"),
        ("an airport.", "B"),
        ("", ""),
        ("A and B", ""),
        ("(A) or (B)", ""),
        ("A or B, I think", ""),
        ("B, as opposed to (A)", "B"),
        ("E", ""),
        ("Cannot tell", ""),
        ("A large airport", ""),
        ("I cannot answer a question about this", ""),
        ("Boats", ""),
        ("The answer is not clear", ""),
        ("Both the harbor and the airport", ""),
    ],
)
def test_strict_reading(text: str, letter: str) -> None:
    assert read_strict(text, OPTIONS) == letter


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("A, C", "AC"),
        ("C A", "AC"),
        ("ACD", "ACD"),
        ("(A) (C)", "AC"),
        ("The answers are A and C.", "AC"),
        ("The correct options are (C) and (A), clearly", "AC"),
        ("A", "A"),
        ("bridge", "C"),
        ("A, F", ""),
        ("cab", ""),  # lower-case letters without spaces are a word
        ("dab", ""),
        ("none of them", ""),
    ],
)
def test_several_letters(text: str, letters: str) -> None:
    assert read_letters(text, OPTIONS) == letters


@given(st.sampled_from("ABCD"), st.sampled_from(["{}", "({})", "{}.", "The answer is {}.", "Answer: {}", " {} "]))
def test_every_rule_agrees_on_plain_letters(letter: str, form: str) -> None:
    text = form.format(letter)
    for name in ("strict", "letters", "mmbench", "mmmu", "video_mme"):
        if name == "video_mme" and "Answer:" in text:
            continue  # it reads the A of "Answer": see below
        assert RULES[name](text, OPTIONS) == letter, name


@given(st.text(max_size=30), st.sampled_from(sorted(RULES)))
def test_a_rule_reads_known_letters_or_nothing(text: str, rule: str) -> None:
    assert set(RULES[rule](text, OPTIONS)) <= set("ABCDE")


@pytest.mark.parametrize(
    ("variant", "answer", "truth"),
    [
        ("mmbench", "A large airport", 0),
        ("mmmu", "From the EPA one sees it", 0),
        ("seed-first-character", "Boats", 1),
        ("vhm-first-capital", "Cannot tell", 2),
    ],
)
def test_published_rules_read_letters_into_words(variant: str, answer: str, truth: int) -> None:
    row = item(answer, OPTIONS[truth], options=["w", "x", "y", "z"], answer_index=truth)
    assert score("choice", variant, row) == 1.0
    assert score("choice", "strict", row) == 0.0
    assert not judge("choice", "strict", row).judgements[0].is_parsed


def test_xlrs_reads_letters_inside_words() -> None:
    row = item("A, the airport", "A", options=OPTIONS)
    assert judge("choice", "xlrs-any-letter", row).judgements[0].label == "AE"
    assert score("choice", "xlrs-any-letter", row) == 0.0
    wanted = item("a bridge, east of it", "ABDE", options=[*OPTIONS, "road"])
    assert score("choice", "xlrs-any-letter", wanted) == 0.0  # without a capital it reads nothing
    assert score("choice", "xlrs-any-letter", item("The bad one is E", "ABDE", options=[*OPTIONS, "road"])) == 1.0
    assert score("choice", "strict", item("The bad one is E", "ABDE", options=[*OPTIONS, "road"])) == 0.0


def test_video_mme_never_reads_a_fifth_option() -> None:
    row = item("The best answer is E", "E", options=[*OPTIONS, "road"])
    assert score("video-choice", "video-mme", row) == 0.0
    assert score("video-choice", "strict", row) == 1.0
    assert score("video-choice", "video-mme", item("Cannot tell", "C", options=OPTIONS)) == 1.0
    assert judge("video-choice", "video-mme", item("Answer: B", "B", options=OPTIONS)).judgements[0].label == "A"


def test_mmmu_gives_chance_to_the_unparsable() -> None:
    rows = [item("no idea", "A", id=str(number), options=OPTIONS) for number in range(400)]
    assert score("choice", "mmmu", *rows) == pytest.approx(0.25, abs=0.07)
    assert score("choice", "mmmu-unparsable-wrong", *rows) == 0.0
    judged = judge("choice", "mmmu", *rows)
    assert not any(judgement.is_parsed for judgement in judged.judgements)
    assert judged.judgements[0].extras == {"guessed": 1.0}
    assert judge("choice", "mmmu", *reversed(rows)).judgements[-1] == judged.judgements[0]  # seeded by the id


def test_mmmu_takes_the_last_candidate() -> None:
    assert RULES["mmmu"]("(A) or rather (C)", OPTIONS) == "C"
    assert RULES["mmmu"]("one can see that this is the airport", OPTIONS) == "B"
    assert RULES["mmmu"]("the airport", OPTIONS) == ""


def test_sets_of_letters_must_be_equal_and_vhm_takes_one_of_them() -> None:
    part = item("A", "AC", options=OPTIONS)
    assert score("choice", "strict", item("C, A", "AC", options=OPTIONS)) == 1.0
    assert score("choice", "strict", part) == 0.0
    assert score("choice", "vhm-first-capital", part) == 1.0


@pytest.mark.parametrize(
    ("row", "letters"),
    [
        (item("", "airport", options=OPTIONS), "B"),
        (item("", "x", options=OPTIONS, answer_index=3), "D"),
        (item("", "(C) bridge", options=OPTIONS), "C"),
        (item("", "C A"), "AC"),
        (item("", "E"), "E"),
        (item(""), ""),
    ],
)
def test_the_right_letters(row: object, letters: str) -> None:
    assert right_letters(row) == letters  # type: ignore[arg-type]


def test_circular_needs_every_order() -> None:
    rows = [
        item("A", "A", id="1", group="q", options=OPTIONS[:2]),
        item("B", "B", id="2", group="q", options=OPTIONS[:2]),
        item("A", "A", id="3", group="r", options=OPTIONS[:3]),
        item("A", "B", id="4", group="r", options=OPTIONS[:3]),
        item("A", "C", id="5", group="r", options=OPTIONS[:3]),
        item("D", "D", id="6", options=OPTIONS),
    ]
    judged = judge("choice", "circular", *rows)
    assert [judgement.score for judgement in judged.judgements] == [1, 1, 0, 0, 0, 1]
    assert judged.corpus["circular_accuracy"] == pytest.approx(2 / 3)
    assert judged.corpus["num_questions"] == 3
    assert judged.corpus["num_questions_in_one_order"] == 1
    assert sum(judgement.extras["single_accuracy"] for judgement in judged.judgements) == 4
    assert "circular_accuracy" in judge("choice", "circular", rows[-1]).unavailable


@given(st.lists(st.sampled_from("ABCD"), min_size=4, max_size=4))
def test_circular_is_never_above_single(answers: list[str]) -> None:
    rows = [item(a, t, id=t, group="q", options=OPTIONS) for a, t in zip(answers, "ABCD", strict=True)]
    assert score("choice", "circular", *rows) <= score("choice", "strict", *rows)


def test_means_by_category_and_duration() -> None:
    rows = [item("A", "A", category="x"), item("A", "A", category="x"), item("A", "B", category="y")]
    judged = judge("choice", "strict", *rows)
    assert judged.corpus["macro_by_category"] == 0.5
    assert judged.tables["by_category"] == {"x": {"n": 2, "score": 1.0}, "y": {"n": 1, "score": 0.0}}
    long = judge(
        "video-choice", "strict", item("A", "A", duration_group="long"), item("A", "B", duration_group="short")
    )
    assert long.tables["by_duration_group"]["long"]["score"] == 1.0


def test_letters_and_unknown_rules() -> None:
    assert letters_of([]) == "ABCD"
    assert letters_of(["x"] * 6) == "ABCDEF"
    with pytest.raises(ConfigError, match="Did you mean 'mmbench'"):
        find_rule("mmbenc")
