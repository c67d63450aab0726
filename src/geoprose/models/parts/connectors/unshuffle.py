"""Merge neighbouring patches into one visual token, then an MLP."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geoprose.core.errors import ConfigError, ModelError
from geoprose.models.parts.connectors.mlp import mlp_layers
from geoprose.models.parts.contracts import Connector

Order = Literal["dyx_c", "c_dyx", "raster4"]
InputNorm = Literal["none", "layernorm", "standardise"]
OutputNorm = Literal["none", "layernorm"]


def pad_grid(features_NPE: Tensor, factor: int) -> Tensor:
    """Fill a square grid of patches with zeros at the right and the bottom until ``factor`` divides it."""
    n, p, e = features_NPE.shape
    side = round(p**0.5)
    missing = -side % factor
    if side * side != p or not missing:
        return features_NPE
    grid = F.pad(features_NPE.reshape(n, side, side, e), (0, 0, 0, missing, 0, missing))
    return grid.flatten(1, 2)


def unshuffle(features_NPE: Tensor, factor: int, order: str) -> Tensor:
    """Merge patches into (N, P / factor^2, E * factor^2).

    Args:
        features_NPE: Patch features of square tiles in raster order.
        factor: Patches merged along each edge.
        order: ``"dyx_c"``: rows, columns, then channels of a block (InternVL); ``"c_dyx"``: channels first
            (``F.unfold``, DeepSeek-VL2); ``"raster4"``: ``factor^2`` consecutive patches of the raster (MiniGPT-v2).

    Raises:
        ModelError: If the patches are not a square grid that ``factor`` divides.
    """
    n, p, e = features_NPE.shape
    if order == "raster4":
        if p % factor**2:
            raise ModelError(f"{p} patches cannot be merged {factor**2} at a time.")
        return features_NPE.reshape(n, p // factor**2, e * factor**2)
    side = round(p**0.5)
    if side * side != p or side % factor:
        raise ModelError(f"{p} patches are not a square grid that a factor of {factor} divides.")
    blocks = features_NPE.reshape(n, side // factor, factor, side // factor, factor, e)
    axes = (0, 1, 3, 2, 4, 5) if order == "dyx_c" else (0, 1, 3, 5, 2, 4)
    return blocks.permute(*axes).reshape(n, (side // factor) ** 2, e * factor**2)


class UnshuffleMlpConnector(Connector):
    """Unshuffle, MLP, and optionally norms and learned position vectors.

    Args:
        in_size: Width of a patch feature.
        out_size: Width of the language model.
        factor: Patches merged along each edge.
        depth: Linear layers of the MLP.
        activation: Activation between them.
        order: Channel order of a merged block, see ``unshuffle``.
        input_norm: ``"layernorm"`` over the merged vector (InternVL), or ``"standardise"`` of each encoder channel with
            the buffers that ``set_input_statistics`` fills.
        output_norm: ``"layernorm"`` brings the output to the scale of the word embeddings, whose standard deviation
            ``initialise_output_scale`` takes as the initial weight.
        position_grid: Side of the visual-token grid; adds a learned vector (side * side, D) to each token, in raster
            order, started at zero. None for no vectors.
        pad: Fill a grid that ``factor`` does not divide with zeros (DeepSeek-VL2: 27 x 27 becomes 28 x 28).
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(  # noqa: PLR0913, PLR0917 - flat keyword arguments are the contract of parts
        self,
        in_size: int,
        out_size: int,
        factor: int = 2,
        depth: int = 2,
        activation: str = "gelu",
        order: Order = "dyx_c",
        input_norm: InputNorm = "none",
        output_norm: OutputNorm = "none",
        position_grid: int | None = None,
        pad: bool = False,
    ) -> None:
        super().__init__(in_size, out_size)
        if factor < 1:
            raise ConfigError(f"An unshuffle factor of {factor} is impossible; use 1 or more.")
        self.in_size = in_size
        self.out_size = out_size
        self.factor = factor
        self.order = order
        self.pad = pad
        self.input_norm = nn.LayerNorm(in_size * factor**2) if input_norm == "layernorm" else None
        self.has_statistics = input_norm == "standardise"
        if self.has_statistics:
            self.register_buffer("input_mean", torch.zeros(in_size))
            self.register_buffer("input_std", torch.ones(in_size))
        self.layers = nn.Sequential(*mlp_layers(in_size * factor**2, out_size, depth, activation))
        self.output_norm = nn.LayerNorm(out_size) if output_norm == "layernorm" else None
        self.position_vectors = nn.Parameter(torch.zeros(position_grid**2, out_size)) if position_grid else None

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, V, D)."""
        visual_NVD = self.tokens(self.merge(features_NPE))
        if self.output_norm is not None:
            visual_NVD = self.output_norm(visual_NVD)
        return visual_NVD if self.position_vectors is None else visual_NVD + self.position_vectors

    def merge(self, features_NPE: Tensor) -> Tensor:
        """Return the normalised inputs of the MLP (N, P / factor^2, E * factor^2)."""
        if self.has_statistics:
            features_NPE = (features_NPE - self.input_mean) / self.input_std
        if self.pad:
            features_NPE = pad_grid(features_NPE, self.factor)
        merged = unshuffle(features_NPE, self.factor, self.order)
        return merged if self.input_norm is None else self.input_norm(merged)

    def tokens(self, merged_NSE: Tensor) -> Tensor:
        """Return the tokens (N, V, D) before the output norm; here one for each merged block."""
        return self.layers(merged_NSE)  # type: ignore[no-any-return]

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return ``num_patches / factor^2``, counted behind the padding.

        Raises:
            ConfigError: If the patches are not a square grid that ``factor`` divides.
        """
        side: int = round(num_patches**0.5)
        if self.pad and side**2 == num_patches:
            return math.ceil(side / self.factor) ** 2
        is_divided = num_patches % self.factor**2 == 0 if self.order == "raster4" else side % self.factor == 0
        if not is_divided or (side**2 != num_patches and self.order != "raster4"):
            raise ConfigError(
                f"The connector merges {self.factor} x {self.factor} patches, but the vision encoder gives "
                f"{num_patches} patches a tile, which is no square grid that this divides. Change connector.factor, "
                "the image size, or leave the class token out."
            )
        return num_patches // self.factor**2

    def set_input_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Set the per-channel mean and standard deviation of the encoder's features.

        Args:
            mean: (E,).
            std: (E,), positive.

        Raises:
            ModelError: If this connector does not standardise, or the statistics do not fit.
        """
        if not self.has_statistics:
            raise ModelError("This connector has input_norm other than 'standardise', so it takes no statistics.")
        if mean.shape != (self.in_size,) or std.shape != (self.in_size,):
            raise ModelError(
                f"Statistics must have shape ({self.in_size},), got {tuple(mean.shape)}, {tuple(std.shape)}."
            )
        if not bool((std > 0).all()) or not bool(torch.isfinite(mean).all()) or not bool(torch.isfinite(std).all()):
            raise ModelError("Statistics must be finite and every standard deviation positive.")
        with torch.no_grad():
            self.input_mean.copy_(mean)
            self.input_std.copy_(std)

    def initialise_output_scale(self, embedding_std: float) -> None:
        """Fill the output norm's weight with ``embedding_std``; nothing to do without an output norm."""
        if self.output_norm is not None:
            nn.init.constant_(self.output_norm.weight, embedding_std)

    def init_weights(self) -> None:
        """Start the position vectors at zero and the statistics at identity."""
        if self.position_vectors is not None:
            nn.init.zeros_(self.position_vectors)
        if self.has_statistics:
            nn.init.zeros_(self.input_mean)
            nn.init.ones_(self.input_std)
