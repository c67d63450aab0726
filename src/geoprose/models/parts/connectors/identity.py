"""No connector: the encoder already speaks in the language model's width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.models.parts.contracts import Connector

if TYPE_CHECKING:
    from torch import Tensor


class IdentityConnector(Connector):
    """Hand features on as they are (Fuyu, whose encoder is one linear layer).

    Args:
        in_size: Width of a feature.
        out_size: Width of the language model; must be the same.
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__(in_size, out_size)
        if in_size != out_size:
            raise ConfigError(
                f"The identity connector cannot bring features of width {in_size} to a language model of width "
                f"{out_size}; give the encoder that width, or take the connector linear."
            )
        self.in_size = in_size
        self.out_size = out_size

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return the features."""
        return features_NPE

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return ``num_patches``."""
        return num_patches
