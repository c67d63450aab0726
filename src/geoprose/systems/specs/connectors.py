"""Specs of the connectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from geoprose.models.registries import CONNECTORS
from geoprose.systems.specs.base import PartSpec, slot_type


class LinearConnectorSpec(PartSpec):
    """One linear layer."""


class MlpConnectorSpec(PartSpec):
    """Linear layers with an activation between them."""

    depth: PositiveInt = 2
    """Number of linear layers (LLaVA-1.5 uses 2, LLaVA uses 1)."""
    activation: str = "gelu"


class UnshuffleMlpConnectorSpec(PartSpec):
    """Merge neighbouring patches, then an MLP, with optional norms and position vectors."""

    factor: PositiveInt = 2
    depth: PositiveInt = 2
    activation: str = "gelu"
    order: Literal["dyx_c", "c_dyx", "raster4"] = "dyx_c"
    input_norm: Literal["none", "layernorm", "standardise"] = "none"
    output_norm: Literal["none", "layernorm"] = "none"
    position_grid: PositiveInt | None = None
    """Side of the visual-token grid that learned position vectors are added on."""


class CompassMlpConnectorSpec(UnshuffleMlpConnectorSpec):
    """The unshuffle MLP with nine tokens in front: the whole, and each direction with its marker."""

    position_grid: PositiveInt
    """Side of the grid of cells, even."""


SPECS: dict[str, type[PartSpec]] = {
    "compass_mlp": CompassMlpConnectorSpec,
    "linear": LinearConnectorSpec,
    "mlp": MlpConnectorSpec,
    "unshuffle_mlp": UnshuffleMlpConnectorSpec,
}

if TYPE_CHECKING:
    ConnectorSlot = PartSpec
else:
    ConnectorSlot = slot_type(CONNECTORS, SPECS)
