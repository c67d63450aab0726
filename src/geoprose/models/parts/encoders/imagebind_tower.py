"""One tower of ImageBind: stem, transformer, projection into the joint space.

All six share one graph; what differs between the published towers is in ``MODALITIES``.

Shapes: N inputs, S clips, T tokens (class token and patches), P patches, E width of the tower, J width of the joint
space.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.models.own_configs import ImageBindConfig
from geoprose.models.parts.encoders.imagebind_stems import MotionStem, PictureStem, PlaneStem, Stem, TextStem

MAX_SCALE = 100.0
INITIAL_TEXT_SCALE = 1 / 0.07


class Modality(NamedTuple):
    """What a published tower has of its own.

    Attributes:
        stem: First layer.
        has_input_norm: A norm between stem and blocks.
        has_extra_key: Every attention sees one more, learned key and value.
        is_causal: Tokens see earlier tokens only.
        scale: Factor of the normalised embedding; None where it is learned.
        input_axes: Axes of a batch of inputs without clips.
    """

    stem: type[Stem]
    has_input_norm: bool
    has_extra_key: bool
    is_causal: bool
    scale: float | None
    input_axes: int


MODALITIES = {
    "vision": Modality(PictureStem, True, False, False, 1.0, 4),
    "text": Modality(TextStem, False, False, True, None, 2),
    "audio": Modality(PlaneStem, False, True, False, 20.0, 4),
    "depth": Modality(PlaneStem, False, True, False, 5.0, 4),
    "thermal": Modality(PlaneStem, False, True, False, 10.0, 4),
    "imu": Modality(MotionStem, False, True, False, 5.0, 3),
}


class Attention(nn.Module):
    """Self-attention, with one learned key and value behind the tokens' own where the tower has them."""

    def __init__(self, config: ImageBindConfig, modality: Modality) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.is_causal = modality.is_causal
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out = nn.Linear(config.hidden_size, config.hidden_size)
        vector = (1, 1, config.hidden_size)
        self.extra_key = nn.Parameter(torch.zeros(vector)) if modality.has_extra_key else None
        self.extra_value = nn.Parameter(torch.zeros(vector)) if modality.has_extra_key else None

    def forward(self, tokens_NTE: Tensor) -> Tensor:
        """Return what each token gathers (N, T, E)."""
        query, key, value = self.qkv(tokens_NTE).chunk(3, -1)
        if self.extra_key is not None and self.extra_value is not None:
            key = torch.cat([key, self.extra_key.expand(len(key), -1, -1)], 1)
            value = torch.cat([value, self.extra_value.expand(len(value), -1, -1)], 1)
        query, key, value = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (query, key, value))
        gathered = F.scaled_dot_product_attention(query, key, value, is_causal=self.is_causal)
        return self.out(gathered.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """``x + Attention(norm x)``, then ``x + MLP(norm x)``; skipped by chance in training."""

    def __init__(self, config: ImageBindConfig, modality: Modality, drop_path: float) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.mlp_ratio * config.hidden_size
        self.norm_1 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.attention = Attention(config, modality)
        self.norm_2 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.mlp = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        self.drop_path = drop_path

    def forward(self, tokens_NTE: Tensor) -> Tensor:
        """Return tokens (N, T, E)."""
        tokens_NTE = tokens_NTE + self._kept(self.attention(self.norm_1(tokens_NTE)))
        return tokens_NTE + self._kept(self.mlp(self.norm_2(tokens_NTE)))

    def _kept(self, change_NTE: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return change_NTE
        kept = 1 - self.drop_path
        return change_NTE * change_NTE.new_empty(len(change_NTE), 1, 1).bernoulli_(kept) / kept


class ImageBindTower(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """Inputs of one modality to patch features, and to one vector in the space that all modalities share.

    Source:
        arXiv:2305.05665, section 3 and appendix B; written from the description and from the published graph
        (facebookresearch/ImageBind, CC-BY-NC 4.0, of which nothing is copied).
    """

    config_class = ImageBindConfig
    config: ImageBindConfig
    base_model_prefix = "tower"
    _no_split_modules = ["Block"]  # noqa: RUF012 - the form is the contract of transformers

    def __init__(self, config: ImageBindConfig) -> None:
        super().__init__(config)
        if config.modality not in MODALITIES:
            raise ConfigError(unknown_name_message("ImageBind modality", config.modality, MODALITIES))
        self.modality = MODALITIES[config.modality]
        width, eps = config.hidden_size, config.layer_norm_eps
        self.stem = self.modality.stem(config)
        self.input_norm = nn.LayerNorm(width, eps=eps) if self.modality.has_input_norm else nn.Identity()
        last = max(1, config.num_hidden_layers - 1)
        rates = [config.drop_path_rate * index / last for index in range(config.num_hidden_layers)]
        self.blocks = nn.ModuleList(Block(config, self.modality, rate) for rate in rates)
        self.head_norm = nn.LayerNorm(width, eps=eps)
        self.head_dropout = nn.Dropout(config.head_dropout)
        self.projection = nn.Linear(width, config.projection_dim, bias=False)
        scale = self.modality.scale if config.scale is None else config.scale
        self.scale = 1.0 if scale is None else scale
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_TEXT_SCALE).log()) if scale is None else None
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Stem):
            module.init_vectors()
        elif isinstance(module, Attention) and module.extra_key is not None and module.extra_value is not None:
            nn.init.xavier_normal_(module.extra_key)
            nn.init.xavier_normal_(module.extra_value)
        elif module is self and self.log_scale is not None:
            nn.init.constant_(self.log_scale, float(torch.tensor(INITIAL_TEXT_SCALE).log()))

    def hidden(self, values: Tensor) -> Tensor:
        """Return normalised tokens (N, T, E) of inputs without clips."""
        tokens_NTE = self.input_norm(self.stem(values))
        for block in self.blocks:
            tokens_NTE = block(tokens_NTE)
        return self.head_norm(tokens_NTE)  # type: ignore[no-any-return]

    def patches(self, values: Tensor) -> Tensor:
        """Return patch features (N, P, E) of inputs without clips, the class token left out."""
        tokens_NTE = self.hidden(values)
        return tokens_NTE if self.stem.class_token is None else tokens_NTE[:, 1:]

    def forward(self, values: Tensor) -> Tensor:
        """Return embeddings (N, J) in the joint space: L2-normalised, then scaled.

        Args:
            values: A batch of inputs, or (N, S, ...) of clips, whose embeddings are averaged: pictures (N, 3, H, W),
                clips of pictures (N, S, 3, H, W), of two frames (N, S, 3, 2, H, W), spectrograms (N, [S,] 1, H, W),
                motion (N, 6, T), token ids (N, T).
        """
        if values.ndim <= self.modality.input_axes:
            return self._embed(values)
        num_inputs, num_clips = values.shape[:2]
        return self._embed(values.flatten(0, 1)).view(num_inputs, num_clips, -1).mean(1)

    def _embed(self, values: Tensor) -> Tensor:
        tokens_NTE = self.hidden(values)
        # Contract: the end-of-text token has the largest id, so it marks itself.
        place_N = values.argmax(-1) if self.modality.is_causal else values.new_zeros(len(values), dtype=torch.long)
        pooled_NE = tokens_NTE[torch.arange(len(values), device=place_N.device), place_N]
        joint_NJ = F.normalize(self.projection(self.head_dropout(pooled_NE)), dim=-1)
        if self.log_scale is not None:
            return joint_NJ * self.log_scale.exp().clamp(max=MAX_SCALE)
        return joint_NJ * self.scale
