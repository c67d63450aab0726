"""The spec of a dense system: two towers, prompts, and the head that makes masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt, model_validator

from geoprose.core.spec import Spec
from geoprose.models.registries import DENSE_HEADS
from geoprose.systems.spec import BaseSystemSpec
from geoprose.systems.specs.base import PartSpec, slot_type
from geoprose.systems.specs.dual import TextTowerSlot, VisionTowerSlot
from geoprose.systems.specs.resolutions import ResolutionSlot
from geoprose.systems.specs.weights import WeightsSpec


class ContextSpec(Spec):
    """The decoder that fits prompts to a picture."""

    hidden: PositiveInt = 256
    num_layers: PositiveInt = 3
    num_heads: PositiveInt = 4


class ChangeclipHeadSpec(PartSpec):
    """Two dates, their differences, and a decoder that asks the prompts."""

    channels: PositiveInt = 256
    num_prompts: PositiveInt = 2
    num_classes: PositiveInt = 2
    context: ContextSpec = ContextSpec()


class SegclipHeadSpec(PartSpec):
    """Prompts become class prototypes that find their pixels scale by scale."""

    channels: PositiveInt = 256
    num_heads: PositiveInt = 8
    rounds: PositiveInt = 1


SPECS: dict[str, type[PartSpec]] = {"changeclip": ChangeclipHeadSpec, "segclip": SegclipHeadSpec}

if TYPE_CHECKING:
    DenseHeadSlot = PartSpec
else:
    DenseHeadSlot = slot_type(DENSE_HEADS, SPECS)


class DenseSpec(BaseSystemSpec):
    """Masks from pictures and prompts; no language model."""

    kind: Literal["dense"]
    family: str = "task-head"
    resolution: ResolutionSlot
    vision_encoder: VisionTowerSlot
    text_encoder: TextTowerSlot
    embedding_dim: PositiveInt = 512
    """Width that both towers are projected to."""
    layers: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (4, 6, 8, 12)
    """Blocks of the vision tower whose outputs become the four stages of the pyramid, counted from 1."""
    head: DenseHeadSlot
    prompts: tuple[str, ...] = Field(min_length=1)
    """The prompts of the classes, in order, for the data set that the head is trained on."""
    weights: WeightsSpec | None = None
    """Weights of both towers, pretrained together."""
    weights_layout: str | None = None
    """Layout of those weights in the interop registry."""

    @model_validator(mode="after")
    def _prompts_fit(self) -> DenseSpec:
        wanted = getattr(self.head, "num_prompts", None)
        if wanted is not None and wanted != len(self.prompts):
            raise ValueError(f"head.num_prompts is {wanted}, but there are {len(self.prompts)} prompts")
        return self

    def slots(self) -> dict[str, str]:
        """Return the name in each slot."""
        return {
            "resolution": f"{self.resolution.type}({self.resolution.image_size} px)",
            "vision_encoder": self.vision_encoder.type,
            "text_encoder": self.text_encoder.type,
            "head": self.head.type,
        }

    def weights_of_parts(self) -> dict[str, WeightsSpec | None]:
        """Return where the pretrained weights of each part come from."""
        return {"both towers": self.weights, "head": None}
