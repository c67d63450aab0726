"""Attention that also returns its log-sum-exp, and the exact merge of attentions over two sets of keys.

Shapes: B batch, h query heads, k key heads (h a multiple of k), T queries, S keys, d head width.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

MAX_SCORES = 1 << 24
"""Scores held at once; longer queries are worked off in blocks, so memory does not grow with their number."""
_CHECK_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 5e-2}


def attend(
    query_BhTd: Tensor, key_BkSd: Tensor, value_BkSd: Tensor, scale: float, is_open_BTS: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return softmax attention (B, h, T, d) and the log-sum-exp of its scores (B, h, T), at least float32.

    Every group of ``h / k`` query heads reads one head of keys, which is not repeated for them.

    Args:
        query_BhTd: Queries.
        key_BkSd: Keys.
        value_BkSd: Values; their width may differ.
        scale: Factor of the scores.
        is_open_BTS: True where a query may read a key; every query needs one. None for all open.
    """
    batch, heads, length, width = query_BhTd.shape
    repeats = heads // key_BkSd.shape[1]
    folded = query_BhTd.reshape(batch, key_BkSd.shape[1], repeats * length, width)
    if is_open_BTS is not None:
        is_open_BTS = is_open_BTS.repeat(1, repeats, 1)
    has_flash = is_open_BTS is None and query_BhTd.device.type == "cpu" and value_BkSd.shape[-1] == width
    if has_flash and is_flash_sound(query_BhTd.dtype):
        output, lse = flash_attention(folded, key_BkSd, value_BkSd, scale)
    else:
        output, lse = plain_attention(folded, key_BkSd, value_BkSd, scale, is_open_BTS)
    return output.reshape(batch, heads, length, -1), lse.reshape(batch, heads, length)


def merge(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """Return attention over the keys of both, as one softmax over all of them gives it.

    With ``l`` the log-sum-exp of a part, its share is ``exp(l) / (exp(l_1) + exp(l_2))``: a sigmoid of the difference.

    Args:
        first: Output (..., d) and log-sum-exp (...) of one part.
        second: Likewise of the other.

    Source:
        arXiv:2205.14135 section 3.1 (the merge of blocks); arXiv:2402.05099 section 3.1 (shared prefix and own suffix);
        arXiv:2501.01005 section 2.2 (attention states and their merge).
    """
    share = torch.sigmoid(first[1] - second[1])[..., None]
    merged = torch.lerp(second[0].to(share.dtype), first[0].to(share.dtype), share)
    return merged.to(first[0].dtype)


def plain_attention(
    query_BkNd: Tensor, key_BkSd: Tensor, value_BkSd: Tensor, scale: float, is_open_BNS: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Attention as the formula reads, in blocks of queries; the reference of ``flash_attention`` and its stand-in."""
    batch, heads, length, _ = query_BkNd.shape
    block = max(1, MAX_SCORES // max(1, batch * heads * key_BkSd.shape[2]))
    wide = torch.promote_types(query_BkNd.dtype, torch.float32)
    outputs, sums = [], []
    for start in range(0, length, block):
        scores = (query_BkNd[:, :, start : start + block] @ key_BkSd.transpose(-1, -2)).to(wide) * scale
        if is_open_BNS is not None:
            scores = scores.masked_fill(~is_open_BNS[:, None, start : start + block], torch.finfo(wide).min)
        lse = scores.logsumexp(-1)
        outputs.append((scores - lse[..., None]).exp().to(value_BkSd.dtype) @ value_BkSd)
        sums.append(lse)
    return torch.cat(outputs, dim=2), torch.cat(sums, dim=2)


def flash_attention(query_BkNd: Tensor, key_BkSd: Tensor, value_BkSd: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention by the kernel of torch for CPUs, which keeps no scores; see ``is_flash_sound``."""
    kernel: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    output, lse = kernel(query_BkNd, key_BkSd, value_BkSd, 0.0, False, scale=scale)
    return output, lse


@cache
def is_flash_sound(dtype: torch.dtype) -> bool:
    """Tell whether the kernel exists in this torch and says what the formula says; it is no public operator."""
    if dtype not in _CHECK_TOLERANCE:
        return False
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, length, 16, generator=generator).to(dtype) for length in (5, 40, 40))
    try:
        found = flash_attention(query, key, value, 0.25)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False
    close = _CHECK_TOLERANCE[dtype]
    expected = plain_attention(query, key, value, 0.25)
    return all(
        mine.shape == theirs.shape and torch.allclose(mine.double(), theirs.double(), atol=close, rtol=close)
        for mine, theirs in zip(found, expected, strict=True)
    )
