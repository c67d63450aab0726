"""Rewards of words and numbers, by hand."""

from __future__ import annotations

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.spec import validate
from geoprose.core.types import Message, Sample
from geoprose.training.preference.rewards.base import Frame, score, total
from geoprose.training.specs.rewards import AnswerRewardSpec, CountRewardSpec, LengthRewardSpec

FRAME = Frame("geoprose", (100, 100))


def _sample(answer: str = "", **meta: object) -> Sample:
    turns = (Message("assistant", answer),) if answer else ()
    return Sample("1", (), (Message("user", "?"), *turns), meta=meta)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prediction", "expected"), [("Yes.", 1), ("the yes", 1), ("yes, it is", 0), ("", 0), ("ja", 1)]
)
def test_an_accepted_answer(prediction: str, expected: float) -> None:
    assert score(AnswerRewardSpec(), prediction, _sample("yes", answers=["Ja"]), FRAME) == expected


def test_counts() -> None:
    exact, relative = CountRewardSpec(), CountRewardSpec(kind="relative")
    sample = _sample(count=4)
    texts = ("four ships", "3", "none", "many", "3 or 4", "40")
    assert [score(exact, text, sample, FRAME) for text in texts] == [1, 0, 0, 0, 0, 0]
    assert [score(relative, text, sample, FRAME) for text in texts] == [1, 0.75, 0, 0, 0, 0]
    assert score(exact, "2", _sample("There are two."), FRAME) == 1
    with pytest.raises(DataError, match="no count"):
        score(exact, "2", _sample("many"), FRAME)


def test_long_answers_lose() -> None:
    spec = LengthRewardSpec(free_words=2, max_words=6)
    rewards = [score(spec, " ".join(["w"] * count), _sample(), FRAME) for count in (0, 2, 4, 6, 9)]
    assert rewards == [0, 0, -0.5, -1, -1]
    with pytest.raises(ConfigError, match="max_words"):
        validate(LengthRewardSpec, {"free_words": 5, "max_words": 5}, "recipe")


def test_rewards_add_up_by_weight() -> None:
    specs = (AnswerRewardSpec(weight=2.0), LengthRewardSpec(free_words=1, max_words=3, weight=0.5))
    assert total(specs, "yes it", _sample("yes it"), FRAME) == pytest.approx(2.0 - 0.25)


def test_nothing_to_compare_with_is_an_error() -> None:
    with pytest.raises(DataError, match="no right answer"):
        score(AnswerRewardSpec(), "yes", _sample(), FRAME)
