"""Sampled answers: the same for the same seed, never an image token, the generators left alone."""

from __future__ import annotations

import pytest
import torch

from geoprose.core.errors import InputError
from geoprose.inference.generate import Request
from geoprose.inference.sample import Sampling, sample_answers
from tests.fixtures.systems import picture, tiny_system

REQUEST = Request((picture(0),), "Any water?")


def test_a_seed_gives_the_same_answers() -> None:
    system = tiny_system("demo")
    sampling = Sampling(num_answers=4, max_new_tokens=6)
    before = torch.random.get_rng_state()
    first, again, other = (sample_answers(system, REQUEST, sampling, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first == again != other
    assert len(first) == 4
    assert len(set(first)) > 1
    assert not any("<image>" in text for text in first)


def test_a_low_temperature_gives_the_likeliest_answer() -> None:
    system = tiny_system("demo")
    assert len(set(sample_answers(system, REQUEST, Sampling(4, temperature=1e-4, max_new_tokens=4), 0))) == 1


@pytest.mark.parametrize("wrong", [{"num_answers": 0}, {"temperature": 0.0}, {"top_p": 1.5}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="num_answers >= 1"):
        sample_answers(tiny_system("demo"), REQUEST, Sampling(**wrong), 0)  # type: ignore[arg-type]
