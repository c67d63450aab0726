"""The spec of a factorised encoder: one spatial encoder per sensor, their fusion, and the place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from geoprose.core.spec import Spec
from geoprose.systems.spec import BaseSystemSpec
from geoprose.systems.specs.base import HfValues

if TYPE_CHECKING:
    from geoprose.systems.specs.weights import WeightsSpec


class ModalitySpec(Spec):
    """One sensor."""

    type: Literal["swinv2", "vit"]
    """transformers model type of its spatial encoder."""
    config: HfValues = Field(default_factory=dict)
    """Keywords of that model's config, without bands and image size."""
    num_bands: PositiveInt
    image_size: PositiveInt
    """Side of a picture of this sensor, pixels; all sensors cover the same ground."""
    upscale: PositiveInt = 1
    """Cells of the common grid along one cell of the encoder's."""
    mean: tuple[float, ...] = ()
    """Mean per band; zeros when left out."""
    std: tuple[PositiveFloat, ...] = ()
    """Standard deviation per band; ones when left out."""

    @model_validator(mode="after")
    def _one_value_per_band(self) -> ModalitySpec:
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (0, self.num_bands):
                raise ValueError(f"{name} has {len(getattr(self, name))} values for {self.num_bands} bands")
        return self


class FusionSpec(Spec):
    """The transformer over all dates and sensors of a cell."""

    input_dim: PositiveInt
    width: PositiveInt
    num_layers: PositiveInt
    num_heads: PositiveInt


class GeoContextSpec(Spec):
    """Prototypes of regions."""

    num_regions: PositiveInt
    num_prototypes: PositiveInt
    momentum: float = Field(default=0.99, ge=0, lt=1)
    epsilon: PositiveFloat = 0.05
    iterations: PositiveInt = 3


class FactorisedSpec(BaseSystemSpec):
    """Time series of several sensors to features; no language model."""

    kind: Literal["factorised_encoder"]
    family: str = "factorised-encoder"
    modalities: dict[str, ModalitySpec] = Field(min_length=1)
    fusion: FusionSpec
    calendar_days: PositiveInt = 365
    """Rows of the table of days of the year."""
    geo_context: GeoContextSpec | None = None

    def slots(self) -> dict[str, str]:
        """Return the name in each slot."""
        sensors = ", ".join(f"{name} {item.image_size} px" for name, item in self.modalities.items())
        return {
            "resolution": sensors,
            "vision_encoder": "+".join(item.type for item in self.modalities.values()),
            "temporal_fusion": f"transformer({self.fusion.num_layers})",
            "geo_context": "none" if self.geo_context is None else f"prototypes({self.geo_context.num_prototypes})",
        }

    def weights_of_parts(self) -> dict[str, WeightsSpec | None]:
        """Return where the pretrained weights of each part come from; none are read."""
        return dict.fromkeys(self.modalities)
