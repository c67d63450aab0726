"""Ask conversations turn by turn: each turn sees the system's own earlier answers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from geoprose.core.types import Message
from geoprose.evaluation.answering.expand import BASE_KEY, TURN_KEY
from geoprose.processing.prompt import IMAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.answering.base import Answering, Examinee, Progress, Question, Reply


def answer_in_turns(
    way: Answering,
    examinee: Examinee,
    questions: Sequence[Question],
    image_suffix: str,
    on_progress: Progress | None = None,
) -> list[Reply]:
    """Answer all first turns, then all second ones with the first answers before them, and so on.

    Args:
        way: How each turn is answered.
        examinee: Who answers.
        questions: Questions of one turn, and turns of whole conversations in their order.
        image_suffix: What the prompt format writes behind a picture.
        on_progress: Called with (answered, total).
    """
    rounds: dict[int, list[int]] = defaultdict(list)
    for place, question in enumerate(questions):
        rounds[_turn(question)].append(place)
    said: dict[str, list[Message]] = defaultdict(list)
    shown: dict[str, int] = defaultdict(int)
    replies: dict[int, Reply] = {}
    for number in sorted(rounds):
        places = rounds[number]
        asked = [_continued(questions[place], said) for place in places]
        done = len(replies)
        report = None if on_progress is None else _shifted(on_progress, done, len(questions))
        for place, reply in zip(places, way.answer(examinee, asked, report), strict=True):
            replies[place] = reply
            question = questions[place]
            base = str(question.sample.meta.get(BASE_KEY, ""))
            if base:
                fresh = len(question.images) - shown[base]
                block = (IMAGE_MARK + image_suffix) * (fresh - (_shot_images(question) if number == 1 else 0))
                said[base] += [Message("user", block + question.text), Message("assistant", reply.text)]
                shown[base] = len(question.images)
    return [replies[place] for place in range(len(questions))]


def _turn(question: Question) -> int:
    number = question.sample.meta.get(TURN_KEY, 1)
    return number if isinstance(number, int) else 1


def _continued(question: Question, said: dict[str, list[Message]]) -> Question:
    earlier = said.get(str(question.sample.meta.get(BASE_KEY, "")), [])
    return replace(question, history=(*question.history, *earlier)) if earlier else question


def _shot_images(question: Question) -> int:
    return sum(message.text.count(IMAGE_MARK) for message in question.history)


def _shifted(on_progress: Progress, done: int, total: int) -> Progress:
    return lambda answered, _: on_progress(done + answered, total)
