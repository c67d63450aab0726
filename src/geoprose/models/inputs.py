"""What the parts of one forward pass hand each other.

Shapes: B batch, T text length, N tiles, P patches per tile, E encoder width, S visuals, D language-model width.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from torch import Tensor

from geoprose.core.errors import ProcessingError
from geoprose.layout.modalities import MODALITIES, input_name
from geoprose.layout.visual import VisualLayout

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from transformers import Cache

_STATE = "_geoprose_state"


@dataclass
class VisualInputs:
    """Everything the visual half of a model reads; all of the batch, in batch order.

    Attributes:
        pixel_values: Tiles (N, C, H, W), or what the encoder's resolution makes (patches, ragged).
        high_res_pixel_values: Second view of hybrid encoders (N, C, H, W).
        vision_features: What the encoder returned for them, instead of pixels (N, P, E).
        visual_layouts: One ``VisualLayout`` per visual (S, 6); None means one tile per visual.
        condition_ids: Token ids of the instruction that goes with each tile, for connectors that read it (N, Tq).
        condition_mask: 1 for its real tokens (N, Tq).
        visual_ids: Discrete codes of an image tokenizer, instead of pixels (N, P).
        audio_values: Inputs of the branch for sound, in the shape its encoder reads, in batch order (N, ...).
        depth_values: Likewise for depth.
        imu_values: Likewise for a motion sensor.
        thermal_values: Likewise for heat.
        video_values: Likewise for videos that a branch of their own reads.
    """

    pixel_values: Tensor | None = None
    high_res_pixel_values: Tensor | None = None
    vision_features: Tensor | None = None
    visual_layouts: Tensor | None = None
    condition_ids: Tensor | None = None
    condition_mask: Tensor | None = None
    visual_ids: Tensor | None = None
    audio_values: Tensor | None = None
    depth_values: Tensor | None = None
    imu_values: Tensor | None = None
    thermal_values: Tensor | None = None
    video_values: Tensor | None = None

    @classmethod
    def take(cls, kwargs: MutableMapping[str, Any]) -> VisualInputs:
        """Move the visual inputs out of ``kwargs``."""
        return cls(**{name: kwargs.pop(name) for name in VISUAL_INPUT_NAMES if name in kwargs})

    def take_modalities(self) -> dict[str, Tensor]:
        """Move the inputs of the branches out, by modality."""
        taken = {}
        for modality in MODALITIES:
            value = getattr(self, input_name(modality))
            if value is not None:
                taken[modality] = value
                setattr(self, input_name(modality), None)
        return taken

    @property
    def has_visuals(self) -> bool:
        """Whether there is anything to look at."""
        return any(getattr(self, name) is not None for name in SOURCES)

    def layouts(self, num_tiles: int) -> list[VisualLayout]:
        """Return one layout per visual.

        Args:
            num_tiles: Rows of the features; without ``visual_layouts`` each is a visual of its own.
        """
        if self.visual_layouts is None:
            return [VisualLayout()] * num_tiles
        return [VisualLayout(*row) for row in self.visual_layouts.tolist()]

    def as_dict(self) -> dict[str, Tensor]:
        """Return the inputs that are given."""
        return {name: value for name in VISUAL_INPUT_NAMES if (value := getattr(self, name)) is not None}


VISUAL_INPUT_NAMES = tuple(field_.name for field_ in fields(VisualInputs))
"""Names that ``forward`` takes beside the text and that generation gives to the first pass only."""
SOURCES = ("pixel_values", "vision_features", "visual_ids")


@dataclass
class TextInputs:
    """The text half of one forward pass.

    Attributes:
        embeds_BTD: Embeddings of the tokens.
        is_visual_BT: True where a placeholder stands.
        attention_mask: As given to ``forward``.
        past_length: Tokens already in the cache.
        state: What earlier passes of this call left and later ones need, by name; lives on the cache.
    """

    embeds_BTD: Tensor
    is_visual_BT: Tensor
    attention_mask: Tensor | None
    past_length: int
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """T of this pass."""
        return int(self.embeds_BTD.shape[1])


@dataclass
class Visuals:
    """The visual tokens of the batch.

    Attributes:
        tokens: One (m, D) per visual, in batch order.
        layouts: Their layouts.
        tokens_per_tile: V.
    """

    tokens: Sequence[Tensor]
    layouts: Sequence[VisualLayout]
    tokens_per_tile: int


@dataclass
class BranchTokens:
    """The tokens of one further modality.

    Attributes:
        modality: Its name.
        tokens_NVD: V tokens per input, in batch order.
        is_placeholder_BT: True where they belong.
    """

    modality: str
    tokens_NVD: Tensor
    is_placeholder_BT: Tensor


def state_of(cache: Cache | None) -> dict[str, Any]:
    """Return the state that rides on a cache, made empty on first use; a throw-away one without a cache."""
    if cache is None:
        return {}
    if not hasattr(cache, _STATE):
        set_state(cache, {})
    state: dict[str, Any] = getattr(cache, _STATE)
    return state


def set_state(cache: Cache, state: dict[str, Any]) -> None:
    """Let a state ride on a cache, instead of what did."""
    setattr(cache, _STATE, state)


def select_rows(cache: Cache, rows: Tensor) -> None:
    """Keep these rows of the batch, in this order, in the cache and in the state that rides on it."""
    cache.batch_select_indices(rows)
    state = state_of(cache)
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ProcessingError(f"The state {name!r} of this fusion cannot be selected by rows.")
        state[name] = value[rows.to(value.device)]
