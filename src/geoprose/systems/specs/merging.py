"""Specs of packers, fusions and positions: how visual tokens meet the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeInt, PositiveInt

from geoprose.models.registries import FUSIONS, PACKERS, POSITIONS
from geoprose.systems.specs import deep_fusion
from geoprose.systems.specs.base import PartSpec, slot_type


class PlainSpec(PartSpec):
    """A part without options."""


class EolRowsPackerSpec(PartSpec):
    """An end-of-line token behind every row of codes."""

    eol_token: str
    """Its name in the vocabulary."""


class EncoderDecoderPrefixSpec(PartSpec):
    """Visual tokens in the text that an encoder-decoder language model encodes."""

    modal_types: bool = False
    """Add a learned vector to text and another to visual tokens (EM-VLM4AD)."""


class GatedViewsPackerSpec(PartSpec):
    """Gated attention pools several views into the tokens of one (EM-VLM4AD)."""

    tokens_per_view: PositiveInt = 49
    """Visual tokens of one view, which the gates read at once."""
    hidden_size: PositiveInt = 128
    """Width of the gates."""


class MropeSpec(PartSpec):
    """Positions in time, height and width (Qwen2-VL)."""

    sections: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = (16, 24, 24)
    """Rotary frequencies of each; their sum is half the head width."""
    advance: Literal["hf5", "max_plus_one"] = "max_plus_one"
    """Where the text behind a video goes on: behind its longer edge (transformers 5), or behind its largest id."""


class SharedSpec(PartSpec):
    """One position for all patches of a picture (CogVLM)."""

    num_end_tokens: NonNegativeInt = 1
    """Visual tokens at each end of a picture with positions of their own."""


class OnevisionPackerSpec(PartSpec):
    """LLaVA-NeXT's packing with a limit, and pooled video frames."""

    max_tiles: PositiveInt = 9
    """Tiles whose tokens a picture may take before its grid is scaled down."""


class V2pePositionSpec(PartSpec):
    """Visual tokens advance the position by a fraction."""

    delta: float = 0.25
    """Increment of a visual token outside training, 0 < delta <= 1."""
    train_deltas: tuple[float, ...] = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625)
    """Increments that training draws from, one for each picture."""
    ceil: bool = True
    """Count the text behind a picture from the next whole number."""


class DeepseekVl2PackerSpec(PartSpec):
    """A newline behind every row, a separator between whole view and tiles."""

    global_first: bool = True
    """Whole view before the tiles."""


class VideoPackerSpec(PartSpec):
    """Frames one after the other, each pooled."""

    pool: PositiveInt = 2
    """Tokens of a frame are averaged over ``pool * pool``."""


PACKER_SPECS: dict[str, type[PartSpec]] = {
    **deep_fusion.PACKER_SPECS,
    "deepseek_vl2": DeepseekVl2PackerSpec,
    "eol_rows": EolRowsPackerSpec,
    "flat": PlainSpec,
    "gated_views": GatedViewsPackerSpec,
    "internvl": PlainSpec,
    "llava_next": PlainSpec,
    "onevision": OnevisionPackerSpec,
    "phi3_hd": PlainSpec,
    "rows_newline": PlainSpec,
    "video": VideoPackerSpec,
}
FUSION_SPECS: dict[str, type[PartSpec]] = {
    **deep_fusion.FUSION_SPECS,
    "encoder_decoder_prefix": EncoderDecoderPrefixSpec,
    "scatter": PlainSpec,
    "token_ids": PlainSpec,
}
POSITION_SPECS: dict[str, type[PartSpec]] = {
    "mrope": MropeSpec,
    "relative": PlainSpec,
    "rope1d": PlainSpec,
    "v2pe": V2pePositionSpec,
    "shared": SharedSpec,
}

if TYPE_CHECKING:
    PackerSlot = PartSpec
    FusionSlot = PartSpec
    PositionSlot = PartSpec
else:
    PackerSlot = slot_type(PACKERS, PACKER_SPECS)
    FusionSlot = slot_type(FUSIONS, FUSION_SPECS)
    PositionSlot = slot_type(POSITIONS, POSITION_SPECS)
