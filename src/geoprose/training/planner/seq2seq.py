"""Both halves of an encoder-decoder language model, each over one row."""

# T tokens that the encoder reads, A tokens that the decoder writes, D width of the language model

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from geoprose.training.planner.trace import Piece, trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoprose.training.planner.workload import RowShape


def trace_seq2seq(model: Any, row: RowShape) -> dict[str, Piece]:
    """Trace the encoder over what stands before the answer of a row, and the decoder over the answer.

    Relative positions are a bias on the attention of every layer; fused attention keeps it, so it is weighed here.
    """
    config, language_model = model.config.get_text_config(), model.model.language_model
    length, answers, width = max(1, row.tokens - row.answers), row.answers, config.hidden_size
    table = model.get_input_embeddings().weight
    inside = {id(parameter) for part in (language_model, model.lm_head) for parameter in part.parameters()}
    outside = (parameter for parameter in model.parameters() if id(parameter) not in inside)
    needs_input = table.requires_grad or any(parameter.requires_grad for parameter in outside)
    dtype = table.dtype

    def encode() -> Tensor:
        embeddings = torch.empty(1, length, width, dtype=dtype, requires_grad=needs_input)
        states: Tensor = language_model.encoder(inputs_embeds=embeddings).last_hidden_state
        return states

    with _fused(language_model):
        encoder = trace(encode, model.parameters(), (config.num_layers, length * width, dtype), weighs_squares=True)

        def decode() -> Tensor:
            embeddings = torch.empty(1, answers, width, dtype=dtype, requires_grad=table.requires_grad)
            read = torch.empty(1, length, width, dtype=dtype, requires_grad=encoder.has_gradient)
            output = language_model.decoder(inputs_embeds=embeddings, encoder_hidden_states=read, use_cache=False)
            states: Tensor = output.last_hidden_state
            return states

        block = (config.num_decoder_layers, answers * width, dtype)
        decoder = trace(decode, model.parameters(), block, weighs_squares=True)
    return {"language_encoder": encoder, "language_decoder": decoder}


@contextmanager
def _fused(language_model: Any) -> Iterator[None]:
    """Leave the dropout of attention weights out: fused attention draws it anew in the backward pass."""
    attentions = [module for module in language_model.modules() if hasattr(module, "relative_attention_num_buckets")]
    before = [module.dropout for module in attentions]
    for module in attentions:
        module.dropout = 0.0
    try:
        yield
    finally:
        for module, dropout in zip(attentions, before, strict=True):
            module.dropout = dropout
