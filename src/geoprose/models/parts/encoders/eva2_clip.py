"""EVA2-CLIP-E as CogVLM has it: norms behind attention and feed-forward, inside the residual branch.

Shapes: N tiles, C channels, H W pixels, P patches, E width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.activations import ACT2FN

from geoprose.layout.tokens import grid_side
from geoprose.models.parts.encoders.last_layer import LastLayerEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Eva2Layer(nn.Module):
    """``x = x + Norm(Attention(x))``, then ``x = x + Norm(FeedForward(x))``."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        width = int(config.hidden_size)
        self.num_heads = int(config.num_attention_heads)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.fc1 = nn.Linear(width, int(config.intermediate_size))
        self.act_fn = ACT2FN[config.hidden_act]
        self.fc2 = nn.Linear(int(config.intermediate_size), width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, hidden_NPE: Tensor) -> Tensor:
        """Return (N, P, E)."""
        n, p, e = hidden_NPE.shape
        q, k, v = self.qkv(hidden_NPE).view(n, p, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        read_NPE = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, p, e)
        hidden_NPE = hidden_NPE + self.attention_norm(self.proj(read_NPE))
        dense_NPE = self.fc2(self.act_fn(self.fc1(hidden_NPE)))
        after_NPE: Tensor = hidden_NPE + self.feed_forward_norm(dense_NPE)
        return after_NPE


class Eva2Tower(nn.Module):
    """Patches, class token first, learned positions, layers; no norm at the end."""

    def __init__(self, config: PreTrainedConfig, num_positions: int) -> None:
        super().__init__()
        width, patch = int(config.hidden_size), int(config.patch_size)
        self.patch_embedding = nn.Conv2d(int(config.num_channels), width, patch, patch)
        self.class_embedding = nn.Parameter(torch.zeros(1, width))
        self.position_embedding = nn.Embedding(num_positions, width)
        self.layers = nn.ModuleList(Eva2Layer(config) for _ in range(int(config.num_hidden_layers)))

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return (N, 1 + P, E)."""
        pixels = pixel_values_NCHW.to(self.patch_embedding.weight.dtype)
        patches_NPE = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        class_N1E = self.class_embedding.expand(len(patches_NPE), 1, -1)
        hidden = torch.cat([class_N1E, patches_NPE], dim=1) + self.position_embedding.weight
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class Eva2ClipEncoder(LastLayerEncoder):
    """The patches of EVA2-CLIP-E, class token removed; CogVLM leaves out the last of its 64 layers by its config.

    Source:
        arXiv:2311.03079 section 2.1; ``EVA2CLIPModel`` of the published CogVLM2 code (visual.py).
    """

    model_type = "clip_vision_model"
    only_output = "eva2_clip returns its last layer only, and num_hidden_layers says which that is"

    def __init__(self, config: PreTrainedConfig, **choices: Any) -> None:
        super().__init__(config, **choices)
        self.hidden_size = int(config.hidden_size)
        self.patch_size = int(config.patch_size)
        self.image_size = int(config.image_size)
        self._side = grid_side(self.image_size, self.patch_size)
        self.tower = Eva2Tower(config, self._side**2 + 1)

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return patch features (N, P, E) in raster order."""
        tokens: Tensor = self.tower(pixel_values_NCHW)
        return tokens[:, 1:]

    def num_patches(self) -> int:
        """Return P."""
        return self._side**2

    def position_table_key(self) -> str:
        """Return the state-dict key of the position table."""
        return "tower.position_embedding.weight"

    def num_prefix_positions(self) -> int:
        """Return 1: the row of the class token."""
        return 1
