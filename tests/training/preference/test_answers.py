"""Answers as rows: what is learnt, what is shared, what stands for an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.data.preferences import make_pair
from geoprose.systems.build import build_system
from geoprose.training.preference.answers import (
    NO_ANSWER,
    EncodedAnswer,
    answer_key,
    encode_answers,
    last_turn_labels,
    padded_rows,
    shared_row,
)

X = -100
PROMPT = [5, 6, 7]


def _answer(*tokens: int) -> EncodedAnswer:
    return EncodedAnswer([*PROMPT, *tokens], [X] * len(PROMPT) + list(tokens), hash(tokens), True)


@pytest.fixture(scope="module")
def processor() -> Any:
    return build_system("demo", scale="tiny").processor


def _pair(history: tuple[Message, ...] = ()) -> Sample:
    asked = Sample("1", (), (*history, Message("user", "Any water?")))
    return make_pair(asked, "yes", "no")


def test_only_the_last_turn_is_learnt() -> None:
    assert last_turn_labels([X, 1, 2, X, X, 3, 4, X]) == [X, X, X, X, X, 3, 4, X]
    assert last_turn_labels([X, X]) == [X, X]


def test_both_answers_of_a_pair_have_the_prompt_of_the_record(processor: Any) -> None:
    history = (Message("user", "Hello"), Message("assistant", "Hello."))
    chosen, rejected = encode_answers(processor, _pair(history), [], [])
    assert (chosen.is_good, rejected.is_good) == (True, False)
    learnt = [processor.tokenizer.decode([t for t in a.labels if t != X]).lstrip() for a in (chosen, rejected)]
    stop = processor.prompt_format.assistant_stop
    assert learnt == [f"yes{stop}", f"no{stop}"]
    assert chosen.key != rejected.key


def test_a_record_without_preference_is_refused(processor: Any) -> None:
    with pytest.raises(DataError, match="holds no preference"):
        encode_answers(processor, replace(_pair(), meta={}), [], [])


def test_padded_rows_number_the_answers() -> None:
    rows = padded_rows([_answer(8, 9), _answer(4)], first=2)
    assert [row.row.input_ids for row in rows] == [[5, 6, 7, 8], [5, 6, 7]]
    assert [row.answers for row in rows] == [[-1, -1, 2, 2], [-1, -1, 3]]


def test_a_shared_row_holds_the_prompt_once() -> None:
    row = shared_row([_answer(8, 9), _answer(8, 4, 3)])
    assert row.row.input_ids == [5, 6, 7, 8, 7, 8, 4]  # the last token of the prompt opens every branch
    assert row.row.position_ids == [0, 1, 2, 3, 2, 3, 4]
    assert row.row.segments == [0, 0, 1, 1, 2, 2, 2]
    assert row.row.next_ids == [X, X, 8, 9, 8, 4, 3]
    assert row.answers == [-1, -1, 0, 0, 1, 1, 1]


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_branch_reads_what_it_would_read_alone(tokens: list[list[int]]) -> None:
    answers = [_answer(*own) for own in tokens]
    shared = shared_row(answers)
    for number, answer in enumerate(answers):
        kept = [place for place, segment in enumerate(shared.row.segments) if segment in (0, number + 1)]
        assert [shared.row.input_ids[place] for place in kept] == answer.input_ids[:-1]
        assert [shared.row.position_ids[place] for place in kept] == list(range(len(kept)))
        own = [place for place in kept if shared.answers[place] == number]
        assert [shared.row.next_ids[place] for place in own] == tokens[number]
    assert all(
        (number == NO_ANSWER) == (label == X) for number, label in zip(shared.answers, shared.row.next_ids, strict=True)
    )


def test_a_key_stands_for_pictures_conversation_and_answer() -> None:
    turns = [("user", "Any?"), ("assistant", "yes")]
    key = answer_key(["a"], turns)
    assert 0 <= key < 2**63
    others = [answer_key(["b"], turns), answer_key(["a"], turns[:1]), answer_key(["a", "a"], turns)]
    assert key == answer_key(["a"], turns)
    assert len({key, *others}) == 4
