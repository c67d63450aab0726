"""Connectors that map every patch by itself: one linear layer, or an MLP."""

from __future__ import annotations

from torch import Tensor, nn
from transformers.activations import ACT2FN

from geoprose.core.errors import ConfigError
from geoprose.models.parts.contracts import Connector


def mlp_layers(in_size: int, out_size: int, depth: int, activation: str) -> list[nn.Module]:
    """Return ``depth`` linear layers with ``activation`` between them; hidden layers have the output's width.

    Raises:
        ConfigError: If ``depth`` is below 1 or the activation is unknown.
    """
    if depth < 1:
        raise ConfigError(f"A connector of depth {depth} has no layer; set depth to 1 or more.")
    if activation not in ACT2FN:
        raise ConfigError(f"Unknown activation {activation!r}; use a name of transformers, such as gelu or silu.")
    layers: list[nn.Module] = [nn.Linear(in_size, out_size)]
    for _ in range(depth - 1):
        layers += [ACT2FN[activation], nn.Linear(out_size, out_size)]
    return layers


class MlpConnector(Connector):
    """``depth`` linear layers with an activation between them (LLaVA-1.5: two layers, GELU).

    Source:
        arXiv:2310.03744; ``mlp2x_gelu`` of haotian-liu/LLaVA.
    """

    def __init__(self, in_size: int, out_size: int, depth: int = 2, activation: str = "gelu") -> None:
        super().__init__(in_size, out_size)
        self.in_size = in_size
        self.out_size = out_size
        self.layers = nn.Sequential(*mlp_layers(in_size, out_size, depth, activation))

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, P, D), one per patch."""
        return self.layers(features_NPE)  # type: ignore[no-any-return]

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return ``num_patches``."""
        return num_patches


class LinearConnector(MlpConnector):
    """One linear layer (LLaVA, arXiv:2304.08485)."""

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__(in_size, out_size, depth=1)
