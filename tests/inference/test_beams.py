"""Beam search behind shared prefixes equals that of transformers, one question at a time from pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import InputError
from geoprose.inference.beams import BeamOptions, beam_search
from geoprose.inference.generate import Request, answer_batch
from tests.fixtures.systems import conversation, picture, pixels_of, tiny_system

if TYPE_CHECKING:
    from geoprose.systems.build import System

QUESTIONS = ("Is there water?", "What covers most of the image, and where?", "Why?")


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system("rsicd-small", dtype=torch.float32)


def _by_transformers(system: System, seed: int, question: str, limit: int, **search: float) -> str:
    ids = system.processor.encode_prompt(conversation(question, None), [system.processor.num_visual_tokens])
    tokens = system.model.generate(
        input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        pixel_values=pixels_of(system, seed), max_new_tokens=limit, do_sample=False, **search,
        bad_words_ids=[[system.model.config.image_token_id]],
    )  # fmt: skip
    return str(system.processor.tokenizer.decode(tokens[0, len(ids) :], skip_special_tokens=True)).strip()


@pytest.mark.parametrize("sharing", ["copy", "cascade"])
@pytest.mark.parametrize(("num_beams", "penalty", "limit"), [(2, 1.0, 6), (3, 1.5, 10), (3, 0.2, 10), (5, 1.0, 3)])
def test_answers_equal_those_of_transformers(
    system: System, num_beams: int, penalty: float, limit: int, sharing: Any
) -> None:
    requests = [Request((picture(seed),), question) for seed in range(2) for question in QUESTIONS]
    search = {"num_beams": num_beams, "length_penalty": penalty}
    ours = answer_batch(system, requests, limit, sharing=sharing, num_beams=num_beams, length_penalty=penalty)
    theirs = [_by_transformers(system, seed, question, limit, **search) for seed in range(2) for question in QUESTIONS]
    assert ours == theirs
    greedy = answer_batch(system, requests, limit, sharing=sharing)
    assert ours != greedy  # a search that only follows the best token would pass otherwise


def test_systems_that_share_nothing_search_too() -> None:
    system = tiny_system("blip2-t5", dtype=torch.float32)
    requests = [Request((picture(0),), question) for question in QUESTIONS]
    assert answer_batch(system, requests, 6, num_beams=3) != answer_batch(system, requests, 6)


@pytest.mark.parametrize("preset", ["rsicd-small", "blip2-t5"])
def test_a_penalty_chooses_among_short_and_long_answers(preset: str) -> None:
    """With prefixes that are shared and with prompts that are not; random weights need many ends to end at all."""
    system = tiny_system(preset, dtype=torch.float32)
    system.model.generation_config.eos_token_id = list(range(0, system.model.config.get_text_config().vocab_size, 5))
    requests = [Request((picture(seed),), question) for seed in range(3) for question in QUESTIONS]
    short, long = (answer_batch(system, requests, 12, num_beams=4, length_penalty=penalty) for penalty in (-3.0, 3.0))
    assert sum(map(len, short)) < sum(map(len, long))


class _Table:
    """A language of three words with known probabilities; word 0 ends an answer."""

    after = {(): (0.0, 0.6, 0.4), (1,): (0.4, 0.3, 0.3), (2,): (0.9, 0.05, 0.05)}  # noqa: RUF012

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = [()]

    def logits(self) -> torch.Tensor:
        return torch.tensor([self.after.get(row, (1.0, 0.0, 0.0)) for row in self.rows]).log()

    def keep(self, rows_B: torch.Tensor) -> None:
        self.rows = [self.rows[index] for index in rows_B.tolist()]

    def feed(self, tokens: list[list[int]]) -> torch.Tensor:
        self.rows = [(*row, *added) for row, added in zip(self.rows, tokens, strict=True)]
        return self.logits()


def _search(num_beams: int, length_penalty: float = 1.0) -> list[int]:
    table: Any = _Table()
    banned = torch.tensor([], dtype=torch.long)
    [ids] = beam_search(table, table.logits(), {0}, banned, BeamOptions(num_beams, 4, length_penalty))
    return ids


def test_two_beams_find_what_the_greedy_choice_misses() -> None:
    # 0.4 * 0.9 = 0.36 beats 0.6 * 0.4 = 0.24, though 1 is likelier than 2 as a first word.
    assert _search(1) == [1]
    assert _search(2) == [2]


def test_a_limit_below_one_is_refused(system: System) -> None:
    with pytest.raises(InputError, match="num_beams"):
        answer_batch(system, [], num_beams=0)
