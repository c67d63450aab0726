"""Attention with its log-sum-exp: the kernel says what the formula says, and two halves merge to the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.models import attention_lse
from geoprose.models.attention_lse import attend, flash_attention, is_flash_sound, merge, plain_attention

EXACT = {"atol": 1e-10, "rtol": 1e-10}


def _draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _whole(query, keys, values, scale, is_open=None):
    """The formula over repeated heads, as one softmax."""
    repeats = query.shape[1] // keys.shape[1]
    keys, values = keys.repeat_interleave(repeats, 1), values.repeat_interleave(repeats, 1)
    scores = query @ keys.transpose(-1, -2) * scale
    if is_open is not None:
        scores = scores.masked_fill(~is_open[:, None], float("-inf"))
    return scores.softmax(-1) @ values, scores.logsumexp(-1)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([(1, 1), (4, 4), (9, 3), (4, 1)]), st.integers(1, 3), st.integers(1, 6), st.integers(1, 9),
    st.integers(1, 9), st.floats(0.01, 30.0),
)  # fmt: skip
def test_two_sets_of_keys_merge_to_one_softmax(heads, batch, queries, first, second, scale):
    query, keys = _draw(batch, heads[0], queries, 8), _draw(batch, heads[1], first + second, 8, seed=1)
    values = _draw(batch, heads[1], first + second, 8, seed=2)
    parts = [attend(query, keys[:, :, part], values[:, :, part], scale) for part in (slice(first), slice(first, None))]
    torch.testing.assert_close(merge(*parts), _whole(query, keys, values, scale)[0], atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(merge(*parts[::-1]), merge(*parts), atol=1e-10, rtol=1e-10)


def test_negative_control_the_mean_of_two_parts_is_not_the_whole():
    query, keys, values = _draw(1, 2, 3, 8), _draw(1, 2, 9, 8, seed=1), _draw(1, 2, 9, 8, seed=2)
    first, second = (
        attend(query, keys[:, :, :4], values[:, :, :4], 0.5),
        attend(query, keys[:, :, 4:], values[:, :, 4:], 0.5),
    )
    whole = _whole(query, keys, values, 0.5)[0]
    assert ((first[0] + second[0]) / 2 - whole).abs().max() > 1e-2


def test_by_hand():
    query, keys = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 3, 1)
    output, lse = attend(query, keys, torch.tensor([[[[1.0], [2.0], [6.0]]]]), 1.0)
    assert output.item() == pytest.approx(3.0)
    assert lse.item() == pytest.approx(torch.tensor(3.0).log().item())
    alone = attend(query, keys[:, :, :1], torch.tensor([[[[7.0]]]]), 1.0)
    assert merge((output, lse), alone).item() == pytest.approx((3 * 3.0 + 7.0) / 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_kernel_of_this_torch_is_sound(dtype):
    assert is_flash_sound(dtype)


@pytest.mark.parametrize("length", [1, 7, 33, 600])
def test_kernel_equals_formula(length):
    query, keys, values = (_draw(2, 3, size, 64, seed=size).float() for size in (length, 600, 601))
    for mine, theirs in zip(
        flash_attention(query, keys, values[:, :, :600], 0.125),
        plain_attention(query, keys, values[:, :, :600], 0.125),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=2e-6, rtol=1e-5)


def test_without_the_kernel_the_formula_is_used(monkeypatch):
    query, keys, values = (
        _draw(1, 4, 5, 8).float(),
        _draw(1, 2, 9, 8, seed=1).float(),
        _draw(1, 2, 9, 8, seed=2).float(),
    )
    with_kernel = attend(query, keys, values, 0.3)
    is_flash_sound.cache_clear()

    def broken(*_args):
        raise AttributeError("no such operator")

    monkeypatch.setattr(attention_lse, "flash_attention", broken)
    try:
        without = attend(query, keys, values, 0.3)
        assert not is_flash_sound(torch.float32)
    finally:
        is_flash_sound.cache_clear()
    for mine, theirs in zip(with_kernel, without, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_a_kernel_that_says_something_else_is_not_used(monkeypatch):
    is_flash_sound.cache_clear()
    monkeypatch.setattr(
        attention_lse, "flash_attention", lambda q, k, v, s: tuple(2 * part for part in plain_attention(q, k, v, s))
    )
    try:
        assert not is_flash_sound(torch.float32)
    finally:
        is_flash_sound.cache_clear()


def test_blocks_of_queries_change_nothing(monkeypatch):
    query, keys, values = _draw(2, 2, 17, 8), _draw(2, 2, 9, 8, seed=1), _draw(2, 2, 9, 8, seed=2)
    is_open = torch.ones(2, 17, 9, dtype=torch.bool).tril(3)
    whole = plain_attention(query, keys, values, 0.5, is_open)
    monkeypatch.setattr(attention_lse, "MAX_SCORES", 2 * 2 * 9 * 3)
    for mine, theirs in zip(plain_attention(query, keys, values, 0.5, is_open), whole, strict=True):
        torch.testing.assert_close(mine, theirs, **EXACT)


def test_a_mask_closes_keys_for_every_head_of_a_group():
    query, keys, values = _draw(2, 6, 4, 8), _draw(2, 2, 5, 8, seed=1), _draw(2, 2, 5, 8, seed=2)
    is_open = torch.ones(2, 4, 5, dtype=torch.bool).tril(1)
    output, lse = attend(query, keys, values, 0.5, is_open)
    expected = _whole(query, keys, values, 0.5, is_open)
    torch.testing.assert_close(output, expected[0], **EXACT)
    torch.testing.assert_close(lse, expected[1], **EXACT)
