"""Batched, shared-prefix answers equal one-by-one generation of transformers, token for token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from geoprose.core.errors import InputError
from geoprose.inference.features import FeatureCache
from geoprose.inference.generate import Request, answer_batch
from tests.fixtures.systems import conversation, picture, pixels_of, tiny_system

if TYPE_CHECKING:
    from geoprose.systems.build import System

QUESTIONS = ("Is there water?", "What covers most of the image, and where?", "Why?")


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system("rsicd-small", dtype=torch.float32)


def _requests() -> list[Request]:
    return [Request((picture(seed),), question) for seed in range(3) for question in QUESTIONS]


def _by_transformers(system: System, seed: int, question: str, limit: int) -> str:
    """What ``model.generate`` says, one question at a time, from pixels."""
    ids = system.processor.encode_prompt(conversation(question, None), [system.processor.num_visual_tokens])
    banned = [[system.model.config.image_token_id]]
    tokens = system.model.generate(
        input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        pixel_values=pixels_of(system, seed), max_new_tokens=limit, do_sample=False, bad_words_ids=banned,
    )  # fmt: skip
    return str(system.processor.tokenizer.decode(tokens[0, len(ids) :], skip_special_tokens=True)).strip()


def test_batched_answers_equal_generate_one_by_one(system: System) -> None:
    batched = answer_batch(system, _requests(), max_new_tokens=10)
    single = [_by_transformers(system, seed, question, 10) for seed in range(3) for question in QUESTIONS]
    assert batched == single
    assert len(set(batched)) > 3  # the pictures and questions matter, so equality means something


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_batch_size_does_not_change_answers(system: System, batch_size: int) -> None:
    requests = _requests()
    assert answer_batch(system, requests, 8, batch_size) == answer_batch(system, requests, 8)


def test_order_of_requests_does_not_change_answers(system: System) -> None:
    requests = _requests()
    assert answer_batch(system, requests[::-1], 8)[::-1] == answer_batch(system, requests, 8)


def test_two_pictures_and_no_picture(system: System) -> None:
    pair = Request((picture(0), picture(1)), "Which has more water?")
    swapped = Request((picture(1), picture(0)), "Which has more water?")
    none = Request((), "Hello?")
    together = answer_batch(system, [pair, none, swapped], 8)
    assert together == [answer_batch(system, [request], 8)[0] for request in (pair, none, swapped)]
    pairs = [Request((picture(a), picture(b)), "Which has more water?") for a in range(4) for b in range(4) if a != b]
    assert len(set(answer_batch(system, pairs, 8))) > 1


def test_image_tokens_are_never_an_answer(system: System) -> None:
    image_token = system.model.config.image_token_id
    head = system.model.get_output_embeddings()
    bias = torch.zeros(head.weight.shape[0])
    bias[image_token] = 1e6
    handle = head.register_forward_hook(lambda _module, _inputs, output: output + bias)
    try:
        rows = answer_batch(system, _requests()[:3], 6)
        mark = system.processor.tokenizer.convert_ids_to_tokens(image_token)
        assert all(mark not in row for row in rows)
        assert rows == answer_batch_without(handle, system)
    finally:
        handle.remove()


def answer_batch_without(handle: torch.utils.hooks.RemovableHandle, system: System) -> list[str]:
    handle.remove()
    return answer_batch(system, _requests()[:3], 6)


def test_blind_answers_do_not_depend_on_the_picture(system: System) -> None:
    requests = [Request((picture(seed),), QUESTIONS[0]) for seed in range(3)]
    assert len(set(answer_batch(system, requests, 8, features=FeatureCache(system, is_blind=True)))) == 1
    assert len(set(answer_batch(system, requests, 8))) > 1


def test_progress_counts_up_to_all(system: System) -> None:
    seen: list[tuple[int, int]] = []
    answer_batch(system, _requests(), 2, batch_size=3, on_progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == [3, 6, 9]
    assert {total for _, total in seen} == {9}


def test_training_mode_is_restored(system: System) -> None:
    system.model.train()
    answer_batch(system, _requests()[:1], 1)
    assert system.model.training
    system.model.eval()


def test_limits_must_be_positive(system: System) -> None:
    with pytest.raises(InputError, match="at least 1"):
        answer_batch(system, _requests(), max_new_tokens=0)


def test_tokens_that_the_generation_config_suppresses_are_never_an_answer(system: System) -> None:
    before = answer_batch(system, _requests(), 6)
    config = system.model.generation_config
    kept = config.suppress_tokens
    first = [system.processor.tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in before]
    config.suppress_tokens = [*(kept or []), *first]
    try:
        after = answer_batch(system, _requests(), 6)
    finally:
        config.suppress_tokens = kept
    assert all(new[:1] != old[:1] for new, old in zip(after, before, strict=True))
