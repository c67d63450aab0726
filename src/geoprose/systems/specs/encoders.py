"""Specs of the vision encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt

from geoprose.core.spec import Spec
from geoprose.models.registries import VISION_ENCODERS
from geoprose.systems.specs.base import HfValues, PartSpec, slot_type
from geoprose.systems.specs.weights import WeightsSpec


class PositionTableSpec(Spec):
    """How the position table of the pretrained encoder is brought to this system's grid."""

    mode: Literal["bicubic", "bilinear"] = "bicubic"
    align_corners: bool = False
    """True moves corner to corner (GeoChat); False keeps pixel areas (transformers' own interpolation)."""


class VisionEncoderSpec(PartSpec):
    """The vision encoder and which of its features are used."""

    config: HfValues = Field(default_factory=dict)
    """Keywords of the transformers vision config; ``image_size`` is filled in from the resolution."""
    feature_layer: int | tuple[int, ...] | None = None
    """Index into the hidden states (-2 is the penultimate block); several are concatenated; null for the final layer
    with its norm."""
    final_norm: bool = False
    """Pass each chosen hidden state through the encoder's final norm."""
    truncate: bool = False
    """Leave out the blocks behind the last one that is read."""
    pool: PositiveInt = 1
    """Average the features over ``pool * pool`` patches."""
    extra: HfValues = Field(default_factory=dict)
    """Further keyword arguments of the encoder class."""
    position_table: PositionTableSpec = PositionTableSpec()
    weights: WeightsSpec | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the part."""
        values = self.model_dump(mode="json", include={"feature_layer", "final_norm", "truncate", "pool"})
        return {**values, **self.extra}


if TYPE_CHECKING:
    VisionEncoderSlot = VisionEncoderSpec
else:
    VisionEncoderSlot = slot_type(VISION_ENCODERS, {}, other=VisionEncoderSpec)
