"""One sample, several questions: every turn of a conversation, every circular order of the options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from geoprose.core.types import Message
from geoprose.evaluation.answering.prompts import letter_of
from geoprose.processing.prompt import IMAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geoprose.core.types import JsonValue, Sample
    from geoprose.evaluation.tasks import TaskSpec

BASE_KEY = "turn_of"
TURN_KEY = "turn"


def expanded(task: TaskSpec, samples: Sequence[Sample]) -> list[Sample]:
    """Return the questions that the task asks about the samples, in their order."""
    found = list(samples)
    if task.prompt.is_multi_turn:
        found = [turn for sample in found for turn in turns_of(sample)]
    if task.prompt.is_circular:
        found = [order for sample in found for order in orders_of(sample)]
    return found


def turns_of(sample: Sample) -> Iterator[Sample]:
    """Yield one sample per turn of a conversation; a sample with one turn as it is.

    A turn is named ``ID/turn-N``; ``meta.turn_of`` and ``meta.turn`` (from 1) join the turns. It shows the pictures
    whose marks stand in it or before it; without marks all pictures come first.
    """
    questions = [place for place, message in enumerate(sample.messages) if message.role == "user"]
    if len(questions) < 2:
        yield sample
        return
    has_marks = any(IMAGE_MARK in sample.messages[place].text for place in questions)
    shown = 0 if has_marks else len(sample.images)
    for number, place in enumerate(questions, start=1):
        shown += sample.messages[place].text.count(IMAGE_MARK)
        turn = [message for message in sample.messages[place : place + 2] if message.role != "system"]
        answers = [message for message in turn[1:] if message.role == "assistant"]
        meta: dict[str, JsonValue] = {key: value for key, value in sample.meta.items() if key != "answers"}
        yield replace(
            sample,
            id=f"{sample.id}/turn-{number}",
            images=sample.images[:shown],
            messages=(turn[0], *answers),
            georefs=sample.georefs[:shown],
            meta=meta | {BASE_KEY: sample.id, TURN_KEY: number},
        )


def orders_of(sample: Sample) -> Iterator[Sample]:
    """Yield a question with its options in every circular order, the given one first, joined by ``meta.group``.

    A right answer that is a letter moves with its option. A sample without options, or without ``answer_index``, is
    yielded as it is.

    Source:
        CircularEval of MMBench, Liu et al., arXiv:2307.06281, section 4.3.
    """
    options, right = sample.meta.get("options"), sample.meta.get("answer_index")
    if not isinstance(options, list) or len(options) < 2 or not isinstance(right, int):
        yield sample
        return
    for shift in range(len(options)):
        place = (right - shift) % len(options)
        moved = {letter_of(right): letter_of(place)} if shift else {}
        meta: dict[str, JsonValue] = dict(sample.meta)
        meta |= {"options": [*options[shift:], *options[:shift]], "answer_index": place, "group": sample.id}
        if isinstance(answers := sample.meta.get("answers"), list):
            meta["answers"] = [moved.get(str(answer), answer) for answer in answers]
        messages = tuple(
            Message(turn.role, moved.get(turn.text.strip(), turn.text)) if turn.role == "assistant" else turn
            for turn in sample.messages
        )
        yield replace(sample, id=f"{sample.id}/order-{shift}" if shift else sample.id, messages=messages, meta=meta)
