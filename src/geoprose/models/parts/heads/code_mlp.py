"""A head of its own writes pictures: another tokenizer than the one that reads them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig
from transformers.activations import ACT2FN

from geoprose.models.parts.connectors.mlp import mlp_layers
from geoprose.models.parts.contracts import ImageHead
from geoprose.models.parts.encoders.vq import build_tokenizer, decode_codes
from geoprose.models.parts.sizes import num_codes


class CodeMlpHead(ImageHead):
    """``Linear(D, D)``, activation, ``Linear(D, codes)`` to write; code vectors through an MLP to read back (Janus).

    Understanding and writing have nothing in common but the language model: what helps to describe a picture does
    not help to draw one.

    Args:
        width: Width of the language model.
        config: Values of the tokenizer's config, with ``model_type``; ``embed_dim`` is the width of a code's vector.
        depth: Linear layers from a code's vector to the language model.
        activation: Activation between layers.

    Source:
        arXiv:2410.13848 section 3.1; ``JanusForConditionalGeneration`` of transformers.
    """

    def __init__(
        self, width: int, config: dict[str, Any] | None = None, depth: int = 2, activation: str = "gelu"
    ) -> None:
        super().__init__(width)
        values = dict(config or {"model_type": "janus_vqgan"})
        tokenizer_config = AutoConfig.for_model(values.pop("model_type"), **values)
        count = num_codes(tokenizer_config)
        self.tower = build_tokenizer(tokenizer_config)
        self.embeddings = nn.Embedding(count, tokenizer_config.embed_dim)
        self.aligner = nn.Sequential(*mlp_layers(tokenizer_config.embed_dim, width, depth, activation))
        self.output = nn.Sequential(nn.Linear(width, width), ACT2FN[activation], nn.Linear(width, count))

    def scores(self, model: Any, hidden_BD: Tensor) -> Tensor:
        """Return the scores (B, codes)."""
        scores: Tensor = self.output(hidden_BD)
        return scores

    def embed(self, model: Any, codes_B: Tensor) -> Tensor:
        """Return the aligned vectors (B, D) of codes."""
        vectors: Tensor = self.aligner(self.embeddings(codes_B))
        return vectors

    def decode(self, model: Any, codes_NHW: Tensor) -> Tensor:
        """Return pixels (N, C, H, W)."""
        return decode_codes(self.tower, codes_NHW)

    def train(self, mode: bool = True) -> CodeMlpHead:
        """Switch the head; its tokenizer stays in evaluation mode."""
        super().train(mode)
        self.tower.eval()
        return self
