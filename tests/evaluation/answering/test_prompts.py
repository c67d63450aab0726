"""What questions look like, which examples stand before them, and how one sample becomes several questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError, TaskError
from geoprose.core.spec import validate
from geoprose.core.types import Message, Sample
from geoprose.evaluation.answering.expand import expanded, orders_of, turns_of
from geoprose.evaluation.answering.prompts import PromptWriter, labels_by_type, letter_of
from geoprose.evaluation.answering.shots import Shots, shot_messages
from geoprose.evaluation.predictions import ImageHashes
from geoprose.evaluation.tasks import PromptSpec, QuestionType, TaskSpec

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import JsonValue


def task_with(**prompt: object) -> TaskSpec:
    return TaskSpec(
        name="t",
        title="T",
        description="d",
        source="s",
        types={"scene": QuestionType(metric="exact"), "free": QuestionType(metric="exact", is_closed=False)},
        prompt=PromptSpec(**prompt),
    )


def sample(name: str, answer: str, question: str = "What?", kind: str = "scene", **meta: JsonValue) -> Sample:
    turns = (Message("user", f"<image>\n{question}"), Message("assistant", answer))
    return Sample(name, (f"{name}.png",), turns, kind, "test", meta=meta)


def writer(task: TaskSpec, *samples: Sample, codec: str = "geochat") -> PromptWriter:
    return PromptWriter(task, labels_by_type(task, samples), codec, lambda _: (200, 100))


def test_the_bare_question_is_shown_unchanged() -> None:
    assert writer(task_with()).text(sample("a", "x", "Is {this} kept?")) == "Is {this} kept?"


def test_options_are_lettered_and_labels_joined() -> None:
    one = sample("a", "farm", options=["farm", "port", "river"])
    lettered = task_with(template="{question}\n{options}\nAnswer with the letter.")
    assert writer(lettered).text(one) == "What?\n(A) farm\n(B) port\n(C) river\nAnswer with the letter."
    assert writer(task_with(template="Classes: {labels}.")).text(one) == "Classes: farm, port, river."
    dotted = task_with(template="{options}", option_format="{letter}. {option}")
    assert writer(dotted).text(one).startswith("A. farm\nB. port")


def test_labels_come_from_the_answers_of_closed_types_or_from_the_task() -> None:
    samples = [sample("a", "port"), sample("b", "farm"), sample("c", "port"), sample("d", "long text", kind="free")]
    found = writer(task_with(), *samples)
    assert found.options(samples[0]) == ("farm", "port")
    assert found.options(samples[3]) == ()
    named = task_with().model_copy(update={"labels": ("x", "y")})
    assert writer(named, *samples).options(samples[0]) == ("x", "y")


def test_braces_in_questions_and_options_are_never_filled_in() -> None:
    one = sample("a", "x", "Where is {labels}?", options=["{question}", "b"])
    text = writer(task_with(template="{question} | {labels}")).text(one)
    assert text == "Where is {labels}? | {question}, b"


def test_a_region_is_written_in_the_systems_own_format() -> None:
    one = sample("a", "x", region=[20, 10, 100, 50], gsd_m=0.5)
    told = task_with(template="[identify] What is at {region}? GSD {gsd_m} m.")
    assert writer(told).text(one) == "[identify] What is at {<10><10><50><50>|<0>}? GSD 0.5 m."
    assert writer(told, codec="qwen2_5_vl").text(one) != writer(told).text(one)
    turned = sample("b", "x", region=[20, 10, 100, 10, 100, 50, 20, 50], gsd_m=1)
    assert "{<10><10><50><50>" in writer(told).text(turned)


def test_what_a_prompt_asks_for_must_be_there() -> None:
    with pytest.raises(TaskError, match=r"a has no meta\.phrase"):
        writer(task_with(template="Find {phrase}")).text(sample("a", "x"))
    with pytest.raises(ConfigError, match=r"unknown placeholder \{answer\}"):
        validate(PromptSpec, {"template": "{answer}"}, "test")
    with pytest.raises(TaskError, match="26 letters"):
        letter_of(26)


def test_a_type_may_have_words_of_its_own() -> None:
    types = {
        "scene": QuestionType(metric="exact", template="One word: {question}"),
        "free": QuestionType(metric="exact"),
    }
    task = task_with(template="[vqa] {question}").model_copy(update={"types": types})
    assert writer(task).text(sample("a", "x")) == "One word: What?"
    assert writer(task).text(sample("a", "x", kind="free")) == "[vqa] What?"


@given(count=st.integers(2, 8), data=st.data())
def test_every_circular_order_keeps_the_right_option(count: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, count - 1))
    options: list[JsonValue] = [f"option {place}" for place in range(count)]
    letter = letter_of(right)
    orders = list(orders_of(sample("q", letter, options=options, answer_index=right, answers=[letter])))
    assert len(orders) == count
    assert len({order.id for order in orders}) == count
    seen = set()
    for order in orders:
        listed, place = order.meta["options"], order.meta["answer_index"]
        assert isinstance(listed, list)
        assert isinstance(place, int)
        assert listed[place] == f"option {right}"
        assert order.messages[1].text == letter_of(place) == order.meta["answers"][0]  # type: ignore[index]
        assert order.meta["group"] == "q"
        seen.add(place)
    assert seen == set(range(count))  # the right option has stood everywhere


def test_orders_leave_texts_and_open_questions_alone() -> None:
    named = sample("q", "port", options=["farm", "port"], answer_index=1)
    assert [order.messages[1].text for order in orders_of(named)] == ["port", "port"]
    free = sample("q", "port")
    assert list(orders_of(free)) == [free]


def test_a_conversation_becomes_one_question_per_turn() -> None:
    turns = (
        Message("user", "<image>\nWhat is it?"),
        Message("assistant", "A port."),
        Message("user", "<image>\nAnd this?"),
        Message("assistant", "A farm."),
        Message("user", "Which is larger?"),
        Message("assistant", "The farm."),
    )
    talk = Sample("talk", ("a.png", "b.png"), turns, "scene", "test", meta={"answers": ["A port."]})
    found = list(turns_of(talk))
    assert [one.id for one in found] == ["talk/turn-1", "talk/turn-2", "talk/turn-3"]
    assert [one.images for one in found] == [("a.png",), ("a.png", "b.png"), ("a.png", "b.png")]
    assert [one.messages[-1].text for one in found] == ["A port.", "A farm.", "The farm."]
    assert all("answers" not in one.meta and one.meta["turn_of"] == "talk" for one in found)
    assert expanded(task_with(), [talk]) == [talk]
    assert len(expanded(task_with(is_multi_turn=True), [talk, sample("a", "x")])) == 4


@pytest.fixture
def pictures(tmp_path: Path) -> ImageHashes:
    for number in range(12):
        (tmp_path / f"s{number}.png").write_bytes(bytes([number]))
    (tmp_path / "twin.png").write_bytes(bytes([3]))  # the picture of s3 under another name
    return ImageHashes(tmp_path)


def test_examples_are_the_same_for_all_and_never_the_questions_own(pictures: ImageHashes) -> None:
    train = [sample(f"s{number}", f"label {number}") for number in range(10)]
    shots = Shots(PromptSpec(shots=3), train, pictures)
    given_to_other = [one.id for one in shots.of(sample("s10", "x"))]
    assert given_to_other == [one.id for one in shots.of(sample("s11", "x"))]
    assert given_to_other == [
        one.id for one in Shots(PromptSpec(shots=3), train[::-1], pictures).of(sample("s10", "x"))
    ]
    assert given_to_other != [
        one.id for one in Shots(PromptSpec(shots=3, shot_seed=1), train, pictures).of(sample("s10", "x"))
    ]
    for own in train:
        chosen = [one.id for one in shots.of(own)]
        assert own.id not in chosen
        assert len(chosen) == 3
    everything = Shots(PromptSpec(shots=9), train, pictures)
    assert "s3" not in [one.id for one in everything.of(sample("twin", "x"))]  # the same picture under another name


def test_examples_may_differ_per_question_and_must_suffice(pictures: ImageHashes) -> None:
    train = [sample(f"s{number}", f"label {number}") for number in range(10)]
    own = Shots(PromptSpec(shots=4, are_shots_fixed=False), train, pictures)
    first, second = ([one.id for one in own.of(sample(name, "x"))] for name in ("s10", "s11"))
    assert first != second
    assert first == [one.id for one in own.of(sample("s10", "x"))]
    with pytest.raises(TaskError, match="10 of type 'scene'"):
        Shots(PromptSpec(shots=11), train, pictures).of(sample("s10", "x"))
    with pytest.raises(TaskError, match="0 of type 'free'"):
        Shots(PromptSpec(shots=1), train, pictures).of(sample("s10", "x", kind="free"))


def test_examples_are_shown_as_turns_in_the_words_of_the_task() -> None:
    task = task_with(template="Q: {question}")
    turns = shot_messages([sample("a", "port")], writer(task), "\n")
    assert turns == [Message("user", "<image>\nQ: What?"), Message("assistant", "port")]
