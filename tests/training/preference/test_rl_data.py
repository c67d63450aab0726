"""Questions and rewards in the form that TRL takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.types import Message
from geoprose.systems.build import build_system
from geoprose.training.preference.rl_data import Questions, chat, check_questions, reward_functions
from geoprose.training.specs.rewards import AnswerRewardSpec, BoxIouRewardSpec, FormatRewardSpec
from tests.fixtures.training import make_samples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def questions(tmp_path: Path) -> Questions:
    samples = make_samples(tmp_path, 2)
    return Questions(build_system("demo", scale="tiny"), samples, [tmp_path] * len(samples))


def test_pictures_stand_where_their_marks_are() -> None:
    found = chat([Message("user", "<image>\n<image>\nAny change?"), Message("assistant", "no")], "\n")
    image, text = {"type": "image"}, {"type": "text", "text": "Any change?"}
    assert found[0] == {"role": "user", "content": [image, image, text]}
    assert found[1]["content"] == [{"type": "text", "text": "no"}]


def test_a_prompt_is_what_training_reads(questions: Questions) -> None:
    """TRL's template gives the tokens of our own prompt."""
    processor = questions.system.processor
    rows = questions.rows({"question": [0]})
    (turn,), (pictures,) = rows["prompt"][0], rows["images"]
    content = [{"type": "image", "image": pictures[0]}, *turn["content"][1:]]
    options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
    encoded = processor.apply_chat_template([[{**turn, "content": content}]], **options)
    ours = processor.encode_prompt(questions.asked(0), [processor.num_visual_tokens])
    assert encoded["input_ids"][0] == ours


def test_rewards_are_called_by_column(questions: Questions) -> None:
    specs = (AnswerRewardSpec(), FormatRewardSpec(expects="words"))
    answer, shape = reward_functions(specs, questions)
    assert (answer.__name__, shape.__name__) == ("answer", "format")
    right = questions.samples[1].messages[-1].text
    said: list[Any] = [[{"role": "assistant", "content": text}] for text in (right, "[1, 2]", "")]
    columns = {"question": [1, 1, 1], "images": [questions.pictures(1)] * 3, "prompts": [None] * 3}
    assert answer(completions=said, **columns) == [1.0, 0.0, 0.0]
    assert shape(completions=said, **columns)[-1] == 0.0


def test_what_cannot_be_rewarded_is_found_first(questions: Questions) -> None:
    check_questions(questions, (AnswerRewardSpec(),))
    with pytest.raises(DataError, match="no reference box"):
        check_questions(questions, (BoxIouRewardSpec(),))
    with pytest.raises(DataError, match="no question"):
        check_questions(Questions(questions.system, [], []), (AnswerRewardSpec(),))
    with pytest.raises(ConfigError, match="given once"):
        reward_functions((AnswerRewardSpec(), AnswerRewardSpec()), questions)
