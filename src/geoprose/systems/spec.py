"""The spec of a system: what a preset says, validated and frozen; HF configs are generated from it, never back."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PositiveInt, Tag, field_validator, model_validator

from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import Spec
from geoprose.layout.resize import ResizeMode
from geoprose.layout.resolutions import RESOLUTIONS
from geoprose.layout.tokens import num_visual_tokens
from geoprose.models.registries import CONNECTORS, FUSIONS, PACKERS, POSITIONS, VISION_ENCODERS

Scalar = bool | int | float | str | None
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def _read_exponents(value: Any) -> Any:
    """Read ``1e-5`` as a number: YAML 1.1 takes an exponent without a point for text."""
    if isinstance(value, dict):
        return {key: _read_exponents(item) for key, item in value.items()}
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


HfValues = Annotated[dict[str, Scalar | list[Scalar] | dict[str, Scalar]], BeforeValidator(_read_exponents)]


def _known(kind: str, name: str, names: list[str]) -> str:
    if name not in names:
        raise ValueError(unknown_name_message(kind, name, names))
    return name


class WeightsSpec(Spec):
    """Where pretrained weights come from: exactly one of an asset, a hub repository, or a folder."""

    asset: str | None = None
    """Name of an asset that geoprose converts to a transformers folder."""
    hub_id: str | None = None
    """Repository on the model hub; needs ``revision``."""
    revision: str | None = None
    """Commit of the repository, 40 hexadecimal digits; a branch name is refused."""
    path: str | None = None
    """Folder in transformers format on this machine."""

    @model_validator(mode="after")
    def _one_source(self) -> WeightsSpec:
        if sum(source is not None for source in (self.asset, self.hub_id, self.path)) != 1:
            raise ValueError("give exactly one of asset, hub_id and path")
        is_commit = (
            self.revision is not None and len(self.revision) == 40 and set(self.revision) <= set("0123456789abcdef")
        )
        if self.hub_id is not None and not is_commit:
            raise ValueError("hub_id needs revision: a commit of 40 hexadecimal digits")
        return self


class PositionTableSpec(Spec):
    """How the position table of the pretrained encoder is brought to this system's grid."""

    mode: Literal["bicubic", "bilinear"] = "bicubic"
    align_corners: bool = False
    """True moves corner to corner (GeoChat); False keeps pixel areas (transformers' own interpolation)."""


class ResolutionSpec(Spec):
    """How a chip becomes tiles, and how pixels are scaled."""

    type: str = "fixed"
    image_size: PositiveInt
    """Side of a tile, pixels."""
    mode: ResizeMode = "resize"
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bicubic"
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]

    @field_validator("type")
    @classmethod
    def _registered(cls, value: str) -> str:
        return _known("resolution", value, RESOLUTIONS.names())


class VisionEncoderSpec(Spec):
    """The vision encoder and which of its features are used."""

    type: str
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
    position_table: PositionTableSpec = PositionTableSpec()
    weights: WeightsSpec | None = None

    @field_validator("type")
    @classmethod
    def _registered(cls, value: str) -> str:
        return _known("vision encoder", value, VISION_ENCODERS.names())


class LinearConnectorSpec(Spec):
    """One linear layer."""

    type: Literal["linear"] = "linear"


class MlpConnectorSpec(Spec):
    """Linear layers with an activation between them."""

    type: Literal["mlp"] = "mlp"
    depth: PositiveInt = 2
    """Number of linear layers (LLaVA-1.5 uses 2, LLaVA uses 1)."""
    activation: str = "gelu"


class UnshuffleMlpConnectorSpec(Spec):
    """Merge neighbouring patches, then an MLP, with optional norms and position vectors."""

    type: Literal["unshuffle_mlp"] = "unshuffle_mlp"
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

    type: Literal["compass_mlp"] = "compass_mlp"  # type: ignore[assignment]
    position_grid: PositiveInt
    """Side of the grid of cells, even."""


class OtherConnectorSpec(Spec):
    """A connector that another package registered through entry points."""

    type: str
    options: HfValues = Field(default_factory=dict)
    """Keyword arguments of the part."""

    @field_validator("type")
    @classmethod
    def _registered(cls, value: str) -> str:
        return _known("connector", value, CONNECTORS.names())


def _connector_tag(value: Any) -> str:
    name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return name if name in ("linear", "mlp", "unshuffle_mlp", "compass_mlp") else "other"


ConnectorSpec = Annotated[
    Annotated[LinearConnectorSpec, Tag("linear")]
    | Annotated[MlpConnectorSpec, Tag("mlp")]
    | Annotated[UnshuffleMlpConnectorSpec, Tag("unshuffle_mlp")]
    | Annotated[CompassMlpConnectorSpec, Tag("compass_mlp")]
    | Annotated[OtherConnectorSpec, Tag("other")],
    Discriminator(_connector_tag),
]


class LanguageModelSpec(Spec):
    """Any transformers causal language model."""

    type: str
    """transformers model type, such as ``llama`` or ``qwen2``."""
    config: HfValues = Field(default_factory=dict)
    """Keywords of its config, with the vocabulary size of the pretrained weights."""
    weights: WeightsSpec | None = None
    """Weights and tokenizer."""


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


class SystemSpec(Spec):
    """A system: its parts, where they come from, and how far they are proven."""

    name: str
    summary: str
    source: str
    """Paper and reference code that the facts come from."""
    verified: str
    """The test that proves the preset, and what it does not prove."""
    resolution: ResolutionSpec
    vision_encoder: VisionEncoderSpec
    connector: ConnectorSpec
    packer: str = "flat"
    fusion: str = "scatter"
    position: str = "rope1d"
    language_model: LanguageModelSpec
    prompt: PromptSpec
    box_format: str = "geoprose"
    """Name of the box codec that answers are written in."""
    license: str = ""
    """Licences of the weights, where they are known."""

    @field_validator("packer", "fusion", "position")
    @classmethod
    def _registered(cls, value: str, info: Any) -> str:
        tables: dict[str, Any] = {"packer": PACKERS, "fusion": FUSIONS, "position": POSITIONS}
        return _known(info.field_name, value, tables[info.field_name].names())

    @model_validator(mode="after")
    def _grid_fits(self) -> SystemSpec:
        grid = getattr(self.connector, "position_grid", None)
        cells = self._num_cells()
        if grid is not None and cells is not None and grid**2 != cells:
            raise ValueError(f"connector.position_grid {grid} gives {grid**2} vectors for {cells} visual tokens")
        return self

    def num_visual_tokens(self) -> int | None:
        """Return the visual tokens per tile, or None when only the built part can say."""
        cells = self._num_cells()
        return cells + 9 if cells and isinstance(self.connector, CompassMlpConnectorSpec) else cells

    def _num_cells(self) -> int | None:
        patch_size = self.vision_encoder.config.get("patch_size")
        if not isinstance(patch_size, int) or isinstance(self.connector, OtherConnectorSpec):
            return None
        factor = getattr(self.connector, "factor", 1)
        return num_visual_tokens(self.resolution.image_size, patch_size, factor, self.vision_encoder.pool)

    def slots(self) -> dict[str, str]:
        """Return the name in each slot."""
        return {
            "resolution": f"{self.resolution.type}({self.resolution.mode}, {self.resolution.image_size} px)",
            "vision_encoder": self.vision_encoder.type,
            "connector": self.connector.type,
            "packer": self.packer,
            "fusion": self.fusion,
            "position": self.position,
            "language_model": self.language_model.type,
            "box_format": self.box_format,
        }
