"""The words that an answer may hold, and their scores: the tokens that teacher and student both know."""

# K positions, D width, V tokens of the shared vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from geoprose.training.distillation.divergences import wide

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

CLOSED = -1e9
"""Logit of a token that is never an answer; finite, so that 0 times its logarithm stays 0."""


class Vocabulary:
    """Tokens that may be answered.

    Rows of a head beyond the tokenizer (padding of the matrix) are cut off, and the image token and what generation
    suppresses are closed: a sampled image token would need a picture.

    Args:
        system: The student; its tokenizer is the teacher's as well.
    """

    def __init__(self, system: Any) -> None:
        self.size = len(system.processor.tokenizer)
        suppressed = system.model.generation_config.suppress_tokens or ()
        banned = sorted({int(system.model.config.image_token_id), *suppressed})
        self._banned = torch.tensor([token for token in banned if token < self.size], dtype=torch.long)

    def logits(self, model: Any, states_KD: Tensor) -> Tensor:
        """Return the scores (K, V) that ``model`` gives after the states, in float32 or wider."""
        logits_KV = wide(model.lm_head(states_KD)[..., : self.size])
        return logits_KV.index_fill(-1, self._banned.to(logits_KV.device), CLOSED)


def map_in_chunks(function: Callable[..., Tensor], chunk: int, *tensors: Tensor) -> Tensor:
    """Return what ``function`` makes of chunks of the first axis of ``tensors``, put together again.

    With more than one chunk, what a chunk computed is computed again for the gradient instead of kept: memory is that
    of one chunk, and the head runs twice.
    """
    size = len(tensors[0])
    if size <= chunk or not torch.is_grad_enabled():
        pieces = [function(*(tensor[start : start + chunk] for tensor in tensors)) for start in range(0, size, chunk)]
    else:
        pieces = [
            checkpoint(function, *(tensor[start : start + chunk] for tensor in tensors), use_reentrant=False)
            for start in range(0, size, chunk)
        ]
    return torch.cat(pieces)
