"""The factorised encoder: space first, sensor by sensor and date by date; then time and sensors, cell by cell.

    F_i = head_i(encoder_i(x_i))                                 every date of sensor i on its own, one common grid
    z   = fusion([F_i + day(t) + sensor(i)])                     one transformer over all tokens of a cell
    y   = [z; attention(z, prototypes of the region)]            what is typical of the place

Shapes: N places, T dates, C bands, H W pixels, h w common grid, I fusion input width, D fusion width.

Source: SkySense, arXiv:2312.10115; sizes of the released successor kang-wu/SkySensePlusPlus. Not the published weights'
layout: the ViTs here keep transformers' class token, which is dropped, and pretraining heads are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.factorised.config import FactorisedConfig
from geoprose.models.factorised.fusion import FusionTransformer
from geoprose.models.factorised.prototypes import UNKNOWN_REGION, GeoPrototypes

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX_TOKENS = {"swinv2": 0, "vit": 1}
"""Tokens in front of the patches, by transformers model type; the types that a modality may have."""


@dataclass
class FactorisedOutput(ModelOutput):  # type: ignore[misc]  # transformers is untyped
    """Features of every cell (N, D or 2 D, h, w), and their mean (N, D or 2 D)."""

    feature_map: Tensor | None = None
    pooled: Tensor | None = None


class SpatialEncoder(nn.Module):
    """One sensor: a transformers vision model, and a head that brings its map to the common grid and width.

    The head is ``pixel_shuffle(conv1(x), upscale)``; with neither another width nor another grid it is the identity.

    Args:
        model_type: transformers model type, a key of ``PREFIX_TOKENS``.
        config: Keywords of its config.
        upscale: Cells of the common grid along one cell of the encoder's.
        width: I.
    """

    def __init__(self, model_type: str, config: Mapping[str, Any], upscale: int, width: int) -> None:
        super().__init__()
        if model_type not in PREFIX_TOKENS:
            raise ConfigError(f"A modality cannot be of type {model_type!r}. Known: {', '.join(PREFIX_TOKENS)}.")
        self.num_prefix = PREFIX_TOKENS[model_type]
        built = AutoConfig.for_model(model_type, **config)
        self.num_bands = int(built.num_channels)
        self.model: Any = AutoModel.from_config(built, add_pooling_layer=False)
        own_width = int(built.hidden_size)
        self.head: nn.Module = nn.Identity()
        if upscale > 1 or own_width != width:
            self.head = nn.Sequential(nn.Conv2d(own_width, upscale**2 * width, 1), nn.PixelShuffle(upscale))
        self.freeze_unused()

    def freeze_unused(self) -> None:
        """Freeze the mask token, which only pretraining reads."""
        for name, parameter in self.model.named_parameters():
            if "mask_token" in name:
                parameter.requires_grad_(False)

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        """Return (N, I, h, w)."""
        hidden = self.model(pixels_NCHW.to(self.model.dtype)).last_hidden_state[:, self.num_prefix :]
        side = round(hidden.shape[1] ** 0.5)
        mapped: Tensor = self.head(hidden.transpose(1, 2).unflatten(2, (side, side)))
        return mapped


class GeoproseFactorisedEncoder(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """Time series of several sensors to features of every cell.

    Attributes:
        encoders: One per modality.
        day_table: Learned vector of each day of the year (days, I).
        modality_table: Learned vector of each modality, in the order of their names (modalities, I).
        fusion: Tokens of a cell to one vector.
        geo_context: Prototypes of regions; None for none.
    """

    config: FactorisedConfig
    config_class = FactorisedConfig
    base_model_prefix = "factorised"
    main_input_name = "pixel_values"
    _supports_sdpa = True

    def __init__(self, config: FactorisedConfig) -> None:
        super().__init__(config)
        modalities, fusion = config.modalities or {}, config.fusion or {}
        width = int(fusion["input_dim"])
        # Contract: by name, since a saved config sorts its keys and rows of the modality table must keep their owners.
        self.encoders = nn.ModuleDict(
            {name: SpatialEncoder(width=width, **modalities[name]) for name in sorted(modalities)}
        )
        self.day_table = nn.Parameter(torch.randn(config.calendar_days, width) * 0.02)
        self.modality_table = nn.Parameter(torch.randn(len(modalities), width) * 0.02)
        self.fusion = FusionTransformer(**fusion)
        self.geo_context: GeoPrototypes | None = None
        if config.geo_context is not None:
            self.geo_context = GeoPrototypes(width=int(fusion["width"]), **config.geo_context)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Leave everything as its own class drew it."""

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        """Save under the names of this class; see ``PreTrainedModel.save_pretrained``."""
        # Why not the default: transformers would write the ViTs under the names of their oldest checkpoints.
        kwargs.setdefault("save_original_format", False)
        return super().save_pretrained(save_directory, **kwargs)

    def freeze_unused(self) -> None:
        """Freeze what never gets a gradient."""
        for encoder in self.encoders.values():
            assert isinstance(encoder, SpatialEncoder)
            encoder.freeze_unused()

    def tokens(self, name: str, pixels_NTCHW: Tensor, days_NT: Tensor | None) -> Tensor:
        """Return the tokens of one modality (N, h * w, T, I): its dates at every cell.

        Raises:
            ProcessingError: If the shape or a day does not fit.
        """
        encoder = self.encoders[name]
        if pixels_NTCHW.ndim != 5 or pixels_NTCHW.shape[2] != encoder.num_bands:
            raise ProcessingError(
                f"Modality {name} needs (places, dates, {encoder.num_bands} bands, rows, columns), got "
                f"{tuple(pixels_NTCHW.shape)}."
            )
        num_places, num_dates = pixels_NTCHW.shape[:2]
        maps_NTIhw = encoder(pixels_NTCHW.flatten(0, 1)).unflatten(0, (num_places, num_dates))
        tokens: Tensor = (
            maps_NTIhw.flatten(3).permute(0, 3, 1, 2) + self.modality_table[list(self.encoders).index(name)]
        )
        return tokens if days_NT is None else tokens + self._days(name, days_NT, num_dates).unsqueeze(1)

    def _days(self, name: str, days_NT: Tensor, num_dates: int) -> Tensor:
        if days_NT.shape[-1] != num_dates or bool(((days_NT < 0) | (days_NT >= len(self.day_table))).any()):
            raise ProcessingError(
                f"Modality {name} has {num_dates} dates; give one day of the year for each, 0 to "
                f"{len(self.day_table) - 1}, got {days_NT.tolist()}."
            )
        return self.day_table[days_NT]

    def forward(
        self,
        pixel_values: Mapping[str, Tensor],
        days: Mapping[str, Tensor] | None = None,
        regions: Tensor | None = None,
    ) -> FactorisedOutput:
        """Encode and fuse.

        Args:
            pixel_values: Modality to time series (N, T, C, H, W); any of the modalities may be missing.
            days: Modality to day of the year of each date (N, T), from 0; a missing one gets no day.
            regions: Region of each place (N,), -1 for unknown; None for all unknown.

        Raises:
            ProcessingError: If there is no modality, an unknown one, or their grids differ.
        """
        unknown = sorted(set(pixel_values) - set(self.encoders))
        if unknown or not pixel_values:
            raise ProcessingError(f"Give at least one of {', '.join(self.encoders)}, got {sorted(pixel_values)}.")
        days = days or {}
        given = [name for name in self.encoders if name in pixel_values]
        parts = {name: self.tokens(name, pixel_values[name], days.get(name)) for name in given}
        cells = {name: part.shape[1] for name, part in parts.items()}
        if len(set(cells.values())) > 1:
            raise ProcessingError(f"The modalities do not share one grid; their cells are {cells}.")
        tokens_NSMI = torch.cat(list(parts.values()), dim=2)
        fused_NSD = self.fusion(tokens_NSMI.flatten(0, 1)).unflatten(0, tokens_NSMI.shape[:2])
        if self.geo_context is not None:
            if regions is None:
                regions = torch.full((len(fused_NSD),), UNKNOWN_REGION, device=fused_NSD.device)
            fused_NSD = self.geo_context(fused_NSD, regions)
        side = round(fused_NSD.shape[1] ** 0.5)
        feature_map = fused_NSD.transpose(1, 2).unflatten(2, (side, side))
        return FactorisedOutput(feature_map=feature_map, pooled=fused_NSD.mean(1))


AutoConfig.register("geoprose_factorised", FactorisedConfig, exist_ok=True)
AutoModel.register(FactorisedConfig, GeoproseFactorisedEncoder, exist_ok=True)
