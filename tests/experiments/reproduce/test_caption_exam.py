"""Figures of captions: right ones score, and what another picture's caption scores is taken away."""

from __future__ import annotations

import pytest

from geoprose.data.readers.picture import Picture
from geoprose.experiments.reproduce.caption_exam import caption_task, scores_of

TEXTS = {
    "a": "mostly water and some ice in the north",
    "b": "dense green forest on a hill",
    "c": "yellow desert with a small dry river",
    "d": "crops in many straight rows near a village",
}


def _scores(captions: list[str], others: list[str]):
    samples = [
        Picture(name, (f"{name}.png",), "test").ask("caption", "Describe.", [text]) for name, text in TEXTS.items()
    ]
    return scores_of(samples, captions, others, "meteor-exact-stem")


def test_right_captions_score_and_depend_on_the_picture() -> None:
    right = list(TEXTS.values())
    scores = _scores(right, right[1:] + right[:1])
    assert scores["cider"].mean == pytest.approx(10.0)
    assert scores["rouge_l"].mean == pytest.approx(1.0)
    assert scores["meteor"].mean > 0.99
    assert scores["grounding"].mean > 9.0


def test_a_system_that_does_not_look_loses_nothing() -> None:
    same = [TEXTS["a"]] * len(TEXTS)
    assert set(_scores(same, same)["grounding"].values) == {0.0}


def test_the_task_asks_for_captions_alone() -> None:
    task = caption_task("val")
    assert list(task.types) == ["caption"]
    assert task.other is None
    assert task.split == "val"
