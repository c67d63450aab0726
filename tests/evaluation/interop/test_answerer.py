"""The engine behind both adapters: order, pieces, stopping texts, options, greedy flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import InputError
from geoprose.evaluation.interop import answerer as module
from geoprose.evaluation.interop.answerer import Answerer, Decoding, Question, read_decoding
from geoprose.evaluation.interop.turns import Part, Turn
from geoprose.inference.generate import Request, answer_batch
from geoprose.inference.likelihood import OptionRequest, rank_options
from tests.fixtures.systems import picture, tiny_system

if TYPE_CHECKING:
    from geoprose.systems.build import System

ASKED = [(seed, text) for seed in range(3) for text in ("Is there water?", "Why?")]
OPTIONS = ("yes", "no", "a big ship")


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system("rsicd-small", dtype=torch.float32)


def question(seed: int, text: str, **more: Any) -> Question:
    return Question(lambda: [Turn("user", (Part("image", picture(seed)), Part("text", text)))], **more)


@pytest.mark.parametrize("piece", [1, 4, 100])
def test_answers_are_those_of_the_library_in_the_order_asked(
    system: System, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", piece)
    lengths = [3, 7, 3, 7, 7, 3]
    questions = [question(*asked, decoding=Decoding(limit)) for asked, limit in zip(ASKED, lengths, strict=True)]
    expected = [
        answer_batch(system, [Request((picture(seed),), text)], limit)[0]
        for (seed, text), limit in zip(ASKED, lengths, strict=True)
    ]
    assert Answerer(system).answer(questions) == expected
    assert len(set(expected)) > 2


def test_options_are_scored_as_by_the_library_without_spaces_around_them(system: System) -> None:
    requests = [OptionRequest((picture(seed),), text, OPTIONS) for seed, text in ASKED]
    spaced = tuple(f" {option}" for option in OPTIONS)
    scored = Answerer(system).score([question(*asked, options=spaced) for asked in ASKED])
    expected = [score for row in rank_options(system, requests) for score in row]
    assert [score for row in scored for score, _ in row] == pytest.approx(expected)


def test_an_option_is_greedy_when_it_is_what_the_system_writes(system: System) -> None:
    written = answer_batch(system, [Request((picture(0),), "Why?")], 1)[0]
    (row,) = Answerer(system).score([question(0, "Why?", options=(written, "no"))])
    assert [is_greedy for _, is_greedy in row] == [True, False]


def test_pictures_are_opened_piece_by_piece(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 2)
    opened: list[str] = []

    def make(name: str) -> list[Turn]:
        opened.append(name)
        return [Turn("user", (Part("text", name),))]

    engine = Answerer(system)
    monkeypatch.setattr(engine, "_write", lambda requests, limit: [f"{len(opened)}" for _ in requests])
    assert engine.answer([Question(lambda name=name: make(name)) for name in "abcde"]) == ["2", "2", "4", "4", "5"]


def test_an_answer_ends_before_the_first_stopping_text() -> None:
    assert Decoding(9, ("\n\n", "###")).cut("a port\n### b\n\nc") == "a port"
    assert Decoding(9, ("", "x")).cut("a port") == "a port"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Decoding(1024)),
        ({"max_new_tokens": 16, "until": "\n"}, Decoding(16, ("\n",))),
        ({"do_sample": False, "temperature": 0.7, "until": ["a", None, "b"]}, Decoding(1024, ("a", "b"))),
        ({"do_sample": True, "temperature": 0, "num_beams": 1}, Decoding(1024)),
    ],
)
def test_greedy_options_are_read(options: dict[str, Any], expected: Decoding) -> None:
    assert read_decoding(options) == expected
    assert read_decoding(options, 5).max_new_tokens == 5


@pytest.mark.parametrize("options", [{"do_sample": True}, {"temperature": 0.2}, {"num_beams": 3}])
def test_sampling_and_beams_are_refused_with_what_to_ask_for(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--gen_kwargs do_sample=False"):
        read_decoding(options)


def test_a_batch_of_none_is_refused(system: System) -> None:
    with pytest.raises(InputError, match="batch_size"):
        Answerer(system, batch_size=0)
