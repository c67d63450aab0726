"""Foreign conversations as requests: where pictures stand, whose turn it is, what is refused."""

from __future__ import annotations

import pytest

from geoprose.core.errors import InputError
from geoprose.core.types import Message
from geoprose.evaluation.interop.turns import Part, Turn, to_request
from tests.fixtures.systems import picture

FIRST, SECOND = picture(0), picture(1)


def user(*parts: object) -> Turn:
    return Turn("user", tuple(Part("text", part) if isinstance(part, str) else Part("image", part) for part in parts))


def test_pictures_in_front_of_the_question() -> None:
    request = to_request([user(FIRST, SECOND, "Which has water?")])
    assert request.question == "<image>\n<image>\nWhich has water?"
    assert request.images == (FIRST, SECOND)
    assert request.history == ()


def test_pictures_between_texts_stay_there() -> None:
    request = to_request([user("Before:", FIRST, "After:", SECOND, "What changed?", "Be brief.")], image_suffix="")
    assert request.question == "Before:\n<image>After:\n<image>What changed?\nBe brief."


def test_marks_of_the_text_count_where_there_is_one_for_each_picture() -> None:
    request = to_request([user(FIRST, SECOND, "Compare <image> with <image>.")])
    assert request.question == "Compare <image> with <image>."


@pytest.mark.parametrize("text", ["<image> <image> What?", "What?<image><image>"])
def test_other_marks_are_words_of_a_foreign_template(text: str) -> None:
    assert to_request([user(FIRST, text)]).question == "<image>\nWhat?"


def test_turns_before_the_question_are_history_and_pictures_keep_their_order() -> None:
    turns = [
        Turn("system", (Part("text", "Be brief."),)), user(FIRST, "What is it?"),
        Turn("assistant", (Part("text", "A port."),)), user(SECOND, "And this?"),
    ]  # fmt: skip
    request = to_request(turns)
    assert request.history == (
        Message("system", "Be brief."), Message("user", "<image>\nWhat is it?"), Message("assistant", "A port."),
    )  # fmt: skip
    assert (request.images, request.question) == ((FIRST, SECOND), "<image>\nAnd this?")


def test_a_video_is_so_many_pictures_at_its_place() -> None:
    frames = [picture(seed) for seed in range(5)]
    turn = Turn("user", (Part("video", frames), Part("text", "What happens?")))
    request = to_request([turn], num_frames=3)
    assert request.images == (frames[0], frames[2], frames[4])
    assert request.question == "<image>\n<image>\n<image>\nWhat happens?"


def test_a_begun_answer_and_pictures_of_the_assistant_are_refused() -> None:
    with pytest.raises(InputError, match="ends with assistant"):
        to_request([user("A or B?"), Turn("assistant", (Part("text", "Best option: ("),))])
    with pytest.raises(InputError, match="ends with nobody"):
        to_request([])
    with pytest.raises(InputError, match="turn of the assistant holds pictures"):
        to_request([user("?"), Turn("assistant", (Part("image", FIRST),)), user("?")])
