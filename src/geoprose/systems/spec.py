"""The spec of a system: what a preset says, validated and frozen; HF configs are generated from it, never back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, model_validator

from geoprose.core.spec import Spec
from geoprose.layout.modalities import MODALITIES
from geoprose.layout.tokens import grid_side, num_visual_tokens
from geoprose.processing.prompt import IMAGE_MARK
from geoprose.systems.specs.base import HfValues, OtherPartSpec, known
from geoprose.systems.specs.branches import BranchSpec
from geoprose.systems.specs.compatibility import check_parts
from geoprose.systems.specs.connectors import CompassMlpConnectorSpec, ConnectorSlot, QFormerConnectorSpec
from geoprose.systems.specs.encoders import VisionEncoderSlot
from geoprose.systems.specs.heads import ImageHeadSlot
from geoprose.systems.specs.merging import EncoderDecoderPrefixSpec, FusionSlot, PackerSlot, PlainSpec, PositionSlot
from geoprose.systems.specs.resolutions import ResolutionSlot
from geoprose.systems.specs.signals import SignalSpec
from geoprose.systems.specs.weights import WeightsSpec

_WITHOUT_GRID = ("clip_with_class", "imagebind", "mllama")
"""Encoders that may give something else than a grid of patches: only the built part knows how much."""
Proof = Literal["parity", "golden", "structural", "none"]
"""How far a preset is proven: equal numbers to the reference class; equal numbers to stored outputs of the published
code; hand-computed cases and published counts; nothing."""


class LanguageModelSpec(Spec):
    """Any transformers causal language model."""

    type: str
    """transformers model type, such as ``llama`` or ``qwen2``."""
    config: HfValues = Field(default_factory=dict)
    """Keywords of its config, with the vocabulary size of the pretrained weights."""
    weights: WeightsSpec | None = None
    """Weights and tokenizer."""
    keep_layers: tuple[NonNegativeInt, ...] = ()
    """Layers of the pretrained decoder that this one starts from, counted from 0, in their order here: a shallower
    student takes every second one. All of them when empty; else as many as ``config`` asks for."""


class PromptSpec(Spec):
    """The prompt format as data; the pieces are described in geoprose.processing.prompt."""

    start: str = ""
    default_system: str = ""
    system_prefix: str = ""
    system_suffix: str = ""
    user_prefix: str = ""
    user_suffix: str = ""
    assistant_prefix: str = ""
    assistant_lead: str = ""
    assistant_stop: str = ""
    assistant_suffix: str = ""
    image_suffix: str = "\n"
    image_token: str = "<image>"  # noqa: S105 - a token of text
    image_start: str = ""
    image_end: str = ""
    image_row: str = ""


class BaseSystemSpec(Spec, ABC):
    """What every kind of system says: what it is, where its facts come from, and how far it is proven."""

    kind: str
    """Kind of system, a name in geoprose.systems.kinds; decides which spec, model and processor it has."""
    name: str
    family: str
    """Family in the table of systems, such as ``projection``, ``compression`` or ``one-backbone``."""
    summary: str
    source: str
    """Paper and reference code that the facts come from."""
    verified: Proof = "none"
    """Level of proof."""
    proof: str = ""
    """The test that proves it, and what it does not prove."""
    reference: str | None = None
    """Name in the interop registry: the published layout of the same model, its key map and its transformers class."""
    license: str = ""
    """Licences of the weights, where they are known."""
    tiny: dict[str, Any] = Field(default_factory=dict)
    """Spec values of the tiny scale, where halving every width is not enough; tests and ``systems verify`` use it."""

    @abstractmethod
    def slots(self) -> dict[str, str]:
        """Return the name in each slot."""

    def num_visual_tokens(self) -> int | None:
        """Return the visual tokens per tile that a language model sees; None where only the built part can say."""
        return None

    @abstractmethod
    def weights_of_parts(self) -> dict[str, WeightsSpec | None]:
        """Return where the pretrained weights of each part come from."""


class SystemSpec(BaseSystemSpec):
    """A composite: a vision encoder, a connector and a language model that answers."""

    kind: Literal["composite"] = "composite"
    family: str = "projection"
    resolution: ResolutionSlot
    vision_encoder: VisionEncoderSlot
    connector: ConnectorSlot
    packer: PackerSlot = PlainSpec(type="flat")
    fusion: FusionSlot = PlainSpec(type="scatter")
    position: PositionSlot = PlainSpec(type="rope1d")
    language_model: LanguageModelSpec
    image_head: ImageHeadSlot | None = None
    """How the system writes pictures, where it can."""
    branches: dict[str, BranchSpec] = Field(default_factory=dict)
    """Further modalities that the system reads beside pictures, by name (geoprose.layout.modalities)."""
    signals: dict[str, SignalSpec] = Field(default_factory=dict)
    """What the system can ask a generator for (image, video, audio), by name."""
    prompt: PromptSpec
    box_format: str = "geoprose"
    """Name of the box codec that answers are written in."""

    @model_validator(mode="after")
    def _parts_fit(self) -> SystemSpec:
        slots = ("resolution", "vision_encoder", "connector", "packer", "fusion", "position")
        image_head = "none" if self.image_head is None else self.image_head.type
        check_parts({slot: getattr(self, slot).type for slot in slots} | {"image_head": image_head})
        return self

    @model_validator(mode="after")
    def _grid_fits(self) -> SystemSpec:
        grid = getattr(self.connector, "position_grid", None)
        cells = self._num_cells()
        if grid is not None and cells is not None and grid**2 != cells:
            raise ValueError(f"connector.position_grid {grid} gives {grid**2} vectors for {cells} visual tokens")
        return self

    @model_validator(mode="after")
    def _modalities_are_distinct(self) -> SystemSpec:
        for modality in self.branches:
            known("modality", modality, list(MODALITIES))
        signals = [token for signal in self.signals.values() for token in signal.tokens()]
        tokens = [self.prompt.image_token, IMAGE_MARK, *self.branch_tokens().values(), *signals]
        twice = sorted({token for token in tokens[1:] if tokens[1:].count(token) > 1})
        if twice or tokens[0] in tokens[2:]:
            raise ValueError(f"branches and signals need tokens of their own; {twice or tokens[0]} is used twice")
        return self

    def branch_tokens(self) -> dict[str, str]:
        """Return the mark of every branch."""
        return {modality: branch.token or f"<{modality}>" for modality, branch in self.branches.items()}

    def num_visual_tokens(self) -> int | None:
        """Return the visual tokens per tile, or None when only the built part can say."""
        if isinstance(self.connector, QFormerConnectorSpec):
            return self.connector.num_queries
        cells = self._num_cells()
        return cells + 9 if cells and isinstance(self.connector, CompassMlpConnectorSpec) else cells

    def _num_cells(self) -> int | None:
        patch_size = self.vision_encoder.config.get("patch_size")
        is_known = self.connector.type in ("linear", "mlp", "unshuffle_mlp", "compass_mlp", "hybrid_concat")
        if not isinstance(patch_size, int) or isinstance(self.connector, OtherPartSpec) or not is_known:
            return None
        if self.vision_encoder.type in _WITHOUT_GRID:
            return None
        factor = getattr(self.connector, "factor", 1)
        is_cropped = bool(self.vision_encoder.extra.get("crop_remainder"))
        if getattr(self.connector, "pad", False):
            return math.ceil(grid_side(self.resolution.image_size, patch_size, 1, is_cropped) / factor) ** 2
        return num_visual_tokens(self.resolution.image_size, patch_size, factor, self.vision_encoder.pool, is_cropped)

    def slots(self) -> dict[str, str]:
        """Return the name in each slot."""
        mode = getattr(self.resolution, "mode", None)
        details = f"{mode}, {self.resolution.image_size} px" if mode else f"{self.resolution.image_size} px"
        return {
            "resolution": f"{self.resolution.type}({details})",
            "vision_encoder": self.vision_encoder.type,
            "connector": self.connector.type,
            "packer": self.packer.type,
            "fusion": self.fusion.type,
            "position": self.position.type,
            "language_model": self.language_model.type,
            "box_format": self.box_format,
            **{f"branch {modality}": branch.describe() for modality, branch in self.branches.items()},
            **{f"signal {modality}": f"{len(s.tokens())} tokens" for modality, s in self.signals.items()},
        }

    def weights_of_parts(self) -> dict[str, WeightsSpec | None]:
        """Return where the pretrained weights of each part come from."""
        return {"vision_encoder": self.vision_encoder.weights, "language_model": self.language_model.weights}

    def config_values(self) -> dict[str, Any]:
        """Return the parts as the transformers config holds them."""
        slots = ("vision_encoder", "connector", "packer", "fusion", "position")
        heads = {} if self.image_head is None else {"image_head": self.image_head.as_config()}
        return {slot: getattr(self, slot).as_config() for slot in slots} | heads


class EncoderDecoderSpec(SystemSpec):
    """A composite over an encoder-decoder language model such as T5."""

    kind: Literal["encoder_decoder"] = "encoder_decoder"  # type: ignore[assignment]  # its own tag
    fusion: FusionSlot = EncoderDecoderPrefixSpec(type="encoder_decoder_prefix")
    position: PositionSlot = PlainSpec(type="relative")
