"""What must not change an answer: the cache, padding, cached features, packing."""

import pytest
import torch

from tests.fixtures.systems import conversation, pixels_of, prompt_ids, tiny_system

QUESTIONS = ("Is there water?", "Which class covers most of the tile, and where?", "Why?")
EXACT = {"atol": 3e-6, "rtol": 0}  # float64 up to the float32 inside RMSNorm and RoPE (measured below 1e-6)


@pytest.fixture(scope="module", params=["demo", "llava-1.5"])
def system(request):
    return tiny_system(request.param)


def _generate(system, ids, **kwargs):
    new = system.model.generate(input_ids=ids, max_new_tokens=10, eos_token_id=None, pad_token_id=0, **kwargs)
    return new[:, ids.shape[1] :]


def test_cached_generation_equals_uncached(system):
    ids, pixels = prompt_ids(system), pixels_of(system, 0)
    cached = _generate(system, ids, pixel_values=pixels)
    assert torch.equal(cached, _generate(system, ids, pixel_values=pixels, use_cache=False))
    assert len(set(cached[0].tolist())) > 1


def test_features_generate_what_pixels_generate(system):
    ids, pixels = prompt_ids(system), pixels_of(system, 0)
    features = system.model.model.encode_images(pixels)
    for use_cache in (True, False):
        assert torch.equal(
            _generate(system, ids, vision_features=features, use_cache=use_cache),
            _generate(system, ids, pixel_values=pixels),
        )


def test_left_padded_batch_equals_single(system):
    prompts = [prompt_ids(system, question)[0].tolist() for question in QUESTIONS]
    pixels = pixels_of(system, 0, 1, 2)
    batch = system.processor.pad_prompts(prompts)
    assert batch["attention_mask"].sum(1).tolist() == [len(prompt) for prompt in prompts]
    together = system.model.generate(**batch, pixel_values=pixels, max_new_tokens=10, eos_token_id=None, pad_token_id=0)
    logits = system.model(**batch, pixel_values=pixels).logits
    for row, prompt in enumerate(prompts):
        ids = torch.tensor([prompt])
        alone = _generate(system, ids, pixel_values=pixels[row : row + 1])
        assert torch.equal(together[row : row + 1, batch["input_ids"].shape[1] :], alone)
        single = system.model(input_ids=ids, pixel_values=pixels[row : row + 1]).logits
        torch.testing.assert_close(logits[row, -len(prompt) :], single[0], **EXACT)


def test_an_explicit_mask_of_ones_changes_nothing(system):
    ids, pixels = prompt_ids(system), pixels_of(system, 0)
    for use_cache in (True, False):
        plain = system.model(input_ids=ids, pixel_values=pixels, use_cache=use_cache).logits
        masked = system.model(
            input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), use_cache=use_cache
        ).logits
        torch.testing.assert_close(masked, plain, **EXACT)


def _pack(shared):
    """Ids, positions and bool mask (1, 1, T, T) of branches over one prefix."""
    prefix = len(shared.prefix_ids)
    lengths = [len(ids) for ids, _ in shared.branches]
    ids = shared.prefix_ids + [token for branch, _ in shared.branches for token in branch]
    owner = torch.tensor([-1] * prefix + [index for index, length in enumerate(lengths) for _ in range(length)])
    positions = list(range(prefix)) + [prefix + offset for length in lengths for offset in range(length)]
    visible = (owner[:, None] == owner[None]) | (owner == -1)[None]
    mask = (visible & torch.ones(len(ids), len(ids), dtype=torch.bool).tril())[None, None]
    return torch.tensor([ids]), torch.tensor([positions]), mask


@pytest.mark.parametrize("form", ["bool", "additive"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_branches_equal_separate_conversations(system, form, attention):
    pairs = [
        (question, answer) for question, answer in zip(QUESTIONS, ("Yes", "Forest, in the north", "No"), strict=True)
    ]
    shared = system.processor.encode_shared_prefix(1, pairs)
    ids, positions, mask = _pack(shared)
    pixels = pixels_of(system, 0)
    if form == "additive":
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    system.model.set_attn_implementation(attention)
    packed = system.model(
        input_ids=ids, position_ids=positions, attention_mask=mask, pixel_values=pixels, use_cache=False
    ).logits[0]
    start = len(shared.prefix_ids)
    for (question, answer), (branch, labels) in zip(pairs, shared.branches, strict=True):
        encoded = system.processor.encode_conversation(
            conversation(question, answer), [system.processor.num_visual_tokens]
        )
        assert shared.prefix_ids + branch == encoded.input_ids
        assert [-100] * len(shared.prefix_ids) + labels == encoded.labels
        alone = system.model(input_ids=torch.tensor([encoded.input_ids]), pixel_values=pixels, use_cache=False).logits[
            0
        ]
        torch.testing.assert_close(packed[start : start + len(branch)], alone[len(shared.prefix_ids) :], **EXACT)
        start += len(branch)
    system.model.set_attn_implementation("sdpa")


def test_negative_control_a_plain_causal_mask_mixes_branches(system):
    shared = system.processor.encode_shared_prefix(1, [(question, "Yes") for question in QUESTIONS])
    ids, positions, mask = _pack(shared)
    settings = {"input_ids": ids, "position_ids": positions, "pixel_values": pixels_of(system, 0), "use_cache": False}
    isolated = system.model(**settings, attention_mask=mask).logits
    mixed = system.model(**settings, attention_mask=torch.ones_like(mask).tril()).logits
    assert (isolated - mixed).abs().max() > 1e-2
