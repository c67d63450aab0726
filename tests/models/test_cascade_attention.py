"""The cascade gives what one softmax over prefix and own tokens gives, however rows are packed."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AttentionInterface

from geoprose.core.errors import ModelError
from geoprose.models.cascade_attention import (
    CASCADE,
    KEYWORD,
    CascadeMemory,
    CascadePass,
    cascade_attention,
    routed,
)  # fmt: skip

HEADS, KEY_HEADS, WIDTH, PREFIX = 6, 2, 8, 11
MODULE = SimpleNamespace(layer_idx=0)


def _draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _pass(memory, lengths, per_prefix, is_real):
    """One pass of rows with so many new tokens; ``is_real`` (B, S) says which own columns hold tokens so far."""
    longest = max(lengths)
    real = torch.tensor([[column >= longest - length for column in range(longest)] for length in lengths])
    is_real = torch.cat([is_real, real], dim=-1)
    columns = is_real.shape[1]
    is_open = is_real[:, None] & torch.ones(longest, columns, dtype=torch.bool).tril(columns - longest)
    return CascadePass(memory, per_prefix, *real.nonzero(as_tuple=True), is_open), is_real


def _dense(query, keys, values):
    """One token's queries (h, d) over all keys (k, S, d) that it may read."""
    repeats = HEADS // KEY_HEADS
    scores = torch.einsum("hd,hsd->hs", query, keys.repeat_interleave(repeats, 0)) * WIDTH**-0.5
    return torch.einsum("hs,hsd->hd", scores.softmax(-1), values.repeat_interleave(repeats, 0))


@pytest.mark.parametrize(
    ("owners", "steps"),
    [
        ([0, 0, 0], [[3, 1, 2], [1, 1, 1], [2, 1, 1]]),
        ([0, 1, 1], [[4, 2, 2], [1, 1, 1]]),
        ([0, 1, 2], [[2, 2, 2], [1, 1, 1]]),
        ([2], [[5], [40], [1]]),
    ],
    ids=["one prefix", "two prefixes", "equal shares", "unused prefixes, outgrown memory"],
)
def test_packed_rows_read_their_prefix_and_their_own_tokens(owners, steps):
    prefix = (_draw(3, KEY_HEADS, PREFIX, WIDTH, seed=1), _draw(3, KEY_HEADS, PREFIX, WIDTH, seed=2))
    memory = CascadeMemory([prefix], 1)
    is_real = torch.zeros(len(owners), 0, dtype=torch.bool)
    keys = [prefix[0][owner] for owner in owners]
    values = [prefix[1][owner] for owner in owners]
    for number, lengths in enumerate(steps):
        total = sum(lengths)
        query = _draw(1, HEADS, total, WIDTH, seed=10 + number)
        new_keys, new_values = (_draw(1, KEY_HEADS, total, WIDTH, seed=s + number) for s in (20, 30))
        counts = tuple(sum(n for n, owner in zip(lengths, owners, strict=True) if owner == g) for g in range(3))
        this, is_real = _pass(memory, lengths, counts, is_real)
        output, weights = cascade_attention(MODULE, query, new_keys, new_values, None, **{KEYWORD: this})
        memory.num_columns += this.length
        assert weights is None
        place = 0
        for row, length in enumerate(lengths):
            for _ in range(length):
                keys[row] = torch.cat([keys[row], new_keys[0, :, place : place + 1]], dim=1)
                values[row] = torch.cat([values[row], new_values[0, :, place : place + 1]], dim=1)
                expected = _dense(query[0, :, place], keys[row], values[row])
                torch.testing.assert_close(output[0, place], expected, atol=1e-10, rtol=1e-10)
                place += 1


def test_a_fork_shares_the_prefix_and_nothing_else():
    prefix = (_draw(1, KEY_HEADS, PREFIX, WIDTH, seed=1), _draw(1, KEY_HEADS, PREFIX, WIDTH, seed=2))
    memory = CascadeMemory([prefix], 1)
    this, _ = _pass(memory, [1, 1], (2,), torch.zeros(2, 0, dtype=torch.bool))
    new = _draw(1, KEY_HEADS, 2, WIDTH, seed=3)
    memory.remember(0, (new, new), this)
    memory.num_columns = 1
    fork = memory.fork(torch.tensor([1, 1, 0]))
    assert fork.prefix[0][0] is prefix[0]
    again, _ = _pass(fork, [1, 1, 1], (3,), torch.ones(3, 1, dtype=torch.bool))
    keys, _ = fork.remember(0, (_draw(1, KEY_HEADS, 3, WIDTH, seed=4),) * 2, again)
    torch.testing.assert_close(keys[:, :, 0], new[0].transpose(0, 1)[[1, 1, 0]])
    before, _ = memory.remember(
        0, (new * 0, new * 0), _pass(memory, [1, 1], (2,), torch.ones(2, 1, dtype=torch.bool))[0]
    )
    torch.testing.assert_close(before[:, :, 0], new[0].transpose(0, 1))


def test_without_a_prefix_rows_read_their_own_tokens():
    memory = CascadeMemory([], 1)
    this, _ = _pass(memory, [1], (1,), torch.zeros(1, 0, dtype=torch.bool))
    query, new = _draw(1, HEADS, 1, WIDTH, seed=1), _draw(1, KEY_HEADS, 1, WIDTH, seed=2)
    output, _ = cascade_attention(MODULE, query, new, new, None, **{KEYWORD: this})
    torch.testing.assert_close(output[0, 0], new[0, :, 0].repeat_interleave(HEADS // KEY_HEADS, 0))


@pytest.mark.parametrize("extra", [{}, {KEYWORD: "a pass", "softcap": 30.0}], ids=["no pass", "softcap"])
def test_what_it_does_not_know_is_refused(extra):
    one = torch.zeros(1, 1, 1, 1)
    with pytest.raises(ModelError, match="sharing='copy'"):
        cascade_attention(MODULE, one, one, one, None, **extra)


def test_it_is_an_attention_of_transformers_for_one_pass_only():
    assert AttentionInterface()[CASCADE] is cascade_attention
    model = SimpleNamespace(config=SimpleNamespace(_attn_implementation="sdpa"))
    with routed(model):
        assert model.config._attn_implementation == CASCADE
    assert model.config._attn_implementation == "sdpa"


def test_an_error_inside_gives_the_attention_back():
    model = SimpleNamespace(config=SimpleNamespace(_attn_implementation="eager"))
    with pytest.raises(ZeroDivisionError), routed(model):
        raise ZeroDivisionError
    assert model.config._attn_implementation == "eager"
