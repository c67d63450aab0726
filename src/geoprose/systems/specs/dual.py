"""The spec of a dual encoder: two towers, what projects them, and how their vectors are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from geoprose.core.spec import Spec
from geoprose.models.registries import TEXT_TOWERS, VISION_TOWERS
from geoprose.systems.spec import BaseSystemSpec
from geoprose.systems.specs.base import HfValues, PartSpec, slot_type
from geoprose.systems.specs.resolutions import ResolutionSlot
from geoprose.systems.specs.weights import WeightsSpec


class TowerSpec(PartSpec):
    """One transformers model and its pooling."""

    config: HfValues = Field(default_factory=dict)
    """Keywords of its config; a vision tower's ``image_size`` is filled in from the resolution."""
    pooling: Literal["native", "first", "mean"] = "native"
    """What makes one vector of all tokens; ``native`` is what the model was published with."""
    weights: WeightsSpec | None = None
    """Weights of this tower alone, where the pair was not pretrained together."""

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the part."""
        return {"pooling": self.pooling}


class TextTowerSpec(TowerSpec):
    """A text tower and how text reaches it."""

    max_length: PositiveInt
    """Tokens kept of a text, control tokens included."""
    padding: Literal["longest", "max_length"] = "longest"
    """SigLIP reads the last position, so its texts are all padded to ``max_length``."""
    use_mask: bool = True
    """False where padding was attended to in pretraining (SigLIP)."""
    lowercase: bool = False
    """Lower-case texts first, where the tokenizer does not do it itself (SigLIP 2)."""


class ProjectionSpec(Spec):
    """Linear layers from the towers to the shared width."""

    dim: PositiveInt | None = None
    """Shared width; null where neither side is projected."""
    vision: bool = True
    text: bool = True
    bias: bool = False


class LogitsSpec(Spec):
    """How unit vectors are compared: ``exp(scale) * <x, y> + bias``."""

    loss: Literal["softmax", "sigmoid"] = "softmax"
    scale_init: float = 2.6592
    """Logarithm of the scale at the start of pretraining; 2.6592 is ln(1/0.07)."""
    max_scale: PositiveFloat = 100.0
    """The scale is cut off here (CLIP)."""
    bias_init: float | None = None
    """Start value of the bias; null for none."""


if TYPE_CHECKING:
    VisionTowerSlot = TowerSpec
    TextTowerSlot = TextTowerSpec
else:
    VisionTowerSlot = slot_type(VISION_TOWERS, {}, other=TowerSpec)
    TextTowerSlot = slot_type(TEXT_TOWERS, {}, other=TextTowerSpec)


class DualEncoderSpec(BaseSystemSpec):
    """A dual encoder: retrieval and zero-shot classification, no language model."""

    kind: Literal["dual_encoder"]
    family: str = "dual-encoder"
    resolution: ResolutionSlot
    vision_encoder: VisionTowerSlot
    text_encoder: TextTowerSlot
    projection: ProjectionSpec = ProjectionSpec()
    logits: LogitsSpec = LogitsSpec()
    templates: tuple[str, ...] = ("a photo of a {}.",)
    """Prompts of a zero-shot classifier; ``{}`` is the label."""
    weights: WeightsSpec | None = None
    """Weights of both towers, pretrained together."""
    weights_layout: str | None = None
    """Layout of those weights in the interop registry; that of ``reference`` where it is left out."""

    def slots(self) -> dict[str, str]:
        """Return the name in each slot."""
        sides = [side for side in ("vision", "text") if getattr(self.projection, side)]
        return {
            "resolution": f"{self.resolution.type}({self.resolution.image_size} px)",
            "vision_encoder": self.vision_encoder.type,
            "text_encoder": self.text_encoder.type,
            "projection": f"{self.projection.dim} ({', '.join(sides)})" if sides else "none",
            "logits": self.logits.loss,
        }

    def weights_of_parts(self) -> dict[str, WeightsSpec | None]:
        """Return where the pretrained weights of each part come from."""
        if self.weights is not None:
            return {"both towers": self.weights}
        return {"vision_encoder": self.vision_encoder.weights, "text_encoder": self.text_encoder.weights}
