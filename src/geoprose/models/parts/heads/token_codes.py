"""The language model's own head writes pictures: codes are tokens of its vocabulary."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from geoprose.models.parts.contracts import ImageHead


class TokenCodesHead(ImageHead):
    """Score only the tokens of codes, whatever the rest of the vocabulary says (Chameleon, Emu3).

    It has no weights: scores are rows of the language-model head, vectors are rows of the embedding, and pixels come
    from the vision encoder, whose tokenizer decodes as well.

    Args:
        width: Width of the language model.

    Source:
        arXiv:2405.09818 section 2.3, masked decoding per modality; ``ChameleonForConditionalGeneration`` of
        transformers does the opposite and forbids these tokens.
    """

    def scores(self, model: Any, hidden_BD: Tensor) -> Tensor:
        """Return the scores (B, codes)."""
        take = model.model.connector.take
        bias = model.lm_head.bias
        return F.linear(hidden_BD, take(model.lm_head.weight), None if bias is None else take(bias))

    def embed(self, model: Any, codes_B: Tensor) -> Tensor:
        """Return the word embeddings (B, D) of the codes' tokens."""
        vectors: Tensor = model.get_input_embeddings()(model.model.connector.table(codes_B.device)[codes_B])
        return vectors

    def decode(self, model: Any, codes_NHW: Tensor) -> Tensor:
        """Return pixels (N, C, H, W)."""
        pixels: Tensor = model.model.vision_encoder.decode(codes_NHW)
        return pixels

    def row_end(self, model: Any) -> int | None:
        """Return the end-of-line token of the packer, where it has one."""
        return getattr(model.model.packer, "eol_id", None)
