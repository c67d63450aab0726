"""What lmms-eval's tasks show, item by item, and which requests are one question with several options."""

from __future__ import annotations

from typing import Any

import pytest

from geoprose.core.errors import InputError, TaskError
from geoprose.evaluation.interop.lmms_eval_requests import SimpleRound, group_options, read_messages, read_visuals
from geoprose.evaluation.interop.turns import Part, Turn

DOCS = {"t": {"test": [{"n": 0}, {"n": 1}]}}


@pytest.mark.parametrize(
    ("visual", "part"),
    [
        ("a/b.PNG", Part("image", "a/b.PNG")),
        ("a/b.mp4", Part("video", "a/b.mp4")),
        ("data:image/png;base64,AA==", Part("image", "data:image/png;base64,AA==")),
        ({"type": "image", "path": "x"}, Part("image", "x")),
        ({"url": "x.mkv"}, Part("video", "x.mkv")),
        (["f0", "f1"], Part("video", ["f0", "f1"])),
    ],
)
def test_a_visual_is_a_picture_or_a_video(visual: Any, part: Part) -> None:
    assert read_visuals([visual], "What?") == [Turn("user", (part, Part("text", "What?")))]


def test_a_text_alone_and_no_visuals() -> None:
    assert read_visuals(None, "What?") == [Turn("user", (Part("text", "What?"),))]
    assert read_messages([{"role": "user", "content": "What?"}]) == read_visuals([], "What?")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"type": "audio", "url": "a.wav"}, "'audio'"),
        ({"type": "video", "url": "a.mp4", "start_time": 3.0}, "by its times"),
    ],
)
def test_what_a_system_cannot_take_is_refused(item: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_messages([{"role": "user", "content": [item]}])


def test_sounds_and_contexts_that_are_no_text_are_refused() -> None:
    with pytest.raises(InputError, match=r"sound a\.wav"):
        read_visuals(["x/a.wav"], "?")
    with pytest.raises(InputError, match="list where its question"):
        read_visuals([], ["?"])


def test_only_neighbours_about_one_document_share_a_question() -> None:
    def see(doc: dict[str, int]) -> list[Any]:
        return []

    requests = [
        ("q", " yes", see, 0, "t", "test"), ("q", " no", see, 0, "t", "test"),
        ("q", " yes", see, 1, "t", "test"), ("", "yes"), ("", "no"),
    ]  # fmt: skip
    assert [question.options for question in group_options(requests, DOCS)] == [
        (" yes", " no"),
        (" yes",),
        ("yes", "no"),
    ]


def test_a_round_without_its_five_values_is_refused() -> None:
    args = ("q", {}, lambda doc: [], lambda doc, **more: "text", 0, "t", "test")
    with pytest.raises(TaskError, match="must give visuals"):
        SimpleRound(args, DOCS).next(1)
