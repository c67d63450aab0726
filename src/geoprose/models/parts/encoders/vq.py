"""Image tokenizers: a picture becomes codes of a learned codebook, and codes become a picture."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import ChameleonVQVAE, Emu3VQVAE, JanusVQVAE

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.encoders.last_layer import LastLayerEncoder
from geoprose.models.parts.sizes import num_codes, pixels_per_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedConfig

    from geoprose.layout.visual import VisualLayout
    from geoprose.models.inputs import VisualInputs

_TOWERS: dict[str, Any] = {"chameleon_vqgan": ChameleonVQVAE, "emu3_vqgan": Emu3VQVAE, "janus_vqgan": JanusVQVAE}


def build_tokenizer(config: PreTrainedConfig) -> Any:
    """Return the frozen image tokenizer of a config.

    Raises:
        ConfigError: If transformers has no tokenizer of that type.
    """
    if config.model_type not in _TOWERS:
        raise ConfigError(f"No image tokenizer of type {config.model_type!r}. Known: {', '.join(_TOWERS)}.")
    return _TOWERS[config.model_type]._from_config(config).requires_grad_(False)


def decode_codes(tower: Any, codes_NHW: Tensor) -> Tensor:
    """Return pixels (N, C, H, W), normalised as the tokenizer was trained.

    Raises:
        ConfigError: If transformers has only the encoding half of this tokenizer.
    """
    if not hasattr(tower, "decoder"):
        raise ConfigError(
            f"transformers has no decoder for {tower.config.model_type}: its codes cannot become pixels here. Take the "
            "codes, or a system whose tokenizer decodes (emu3, janus)."
        )
    codes = codes_NHW.flatten(1) if isinstance(tower, JanusVQVAE) else codes_NHW
    pixels: Tensor = tower.decode(codes)
    return pixels


class VqEncoder(LastLayerEncoder):
    """An image tokenizer of transformers behind the encoder contract; it is frozen, and its features are codes.

    A code is the index of the codebook vector nearest to what the convolutions make of a square of pixels. Tiles give
    (N, P) codes; a resolution that cuts cells (one per code) gives (cells, 1), and each picture is then encoded at its
    own size, so that its codes do not depend on the other pictures of the batch.

    Args:
        config: Config of a ``ChameleonVQVAE``, ``Emu3VQVAE`` or ``JanusVQVAE``; its ``model_type`` chooses the class.
        feature_layer: None; codes have no layers.
        pool: 1; codes cannot be averaged.
        final_norm: False.
        truncate: False.

    Source:
        arXiv:1711.00937 (codebook), arXiv:2012.09841 (VQGAN); Chameleon arXiv:2405.09818, Emu3 arXiv:2409.18869.
    """

    model_type = "chameleon_vqgan"
    only_output = "vq gives codes"

    def __init__(self, config: PreTrainedConfig, **choices: Any) -> None:
        super().__init__(config, **choices)
        self.hidden_size = num_codes(config)
        self.patch_size = pixels_per_code(config)
        self.image_size = int(getattr(config, "image_size", None) or self.patch_size)
        self.tower = build_tokenizer(config)

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return the codes (N, P) of tiles of one size, in raster order."""
        pixels = pixel_values_NCHW.to(self.tower.dtype)
        options: dict[str, Any] = {}
        if isinstance(self.tower, Emu3VQVAE):
            options["image_sizes"] = [tuple(pixels.shape[-2:])] * len(pixels)
        with torch.no_grad():
            codes = self.tower.encode(pixels, return_dict=True, **options).image_tokens
        codes_NP = torch.stack(list(codes)) if isinstance(codes, (list, tuple)) else codes
        return codes_NP.reshape(len(pixels), -1)

    def encode(self, inputs: VisualInputs) -> Tensor:
        """Return the codes of the batch: those that are given, or those of its pixels.

        Raises:
            ProcessingError: If given codes are none, pixels are missing, or cells come without their layouts.
        """
        if inputs.visual_ids is not None:
            return self._checked(inputs.visual_ids)
        if inputs.pixel_values is None:
            raise ProcessingError("The encoder vq needs pixel_values or visual_ids.")
        if inputs.pixel_values.ndim == 4:
            codes: Tensor = self(inputs.pixel_values)
            return codes
        if inputs.visual_layouts is None:
            raise ProcessingError("pixel_values that are cut into cells need visual_layouts, which say their grid.")
        return self._encode_cells(inputs.pixel_values, inputs.layouts(0))

    def _encode_cells(self, cells_NPF: Tensor, layouts: Sequence[VisualLayout]) -> Tensor:
        grids = [(layout.rows, layout.columns) for layout in layouts]
        counts = [rows * columns for rows, columns in grids]
        if sum(counts) != len(cells_NPF):
            raise ProcessingError(
                f"visual_layouts describe {sum(counts)} cells but the pictures gave {len(cells_NPF)}; encode pictures "
                "and text with the same processor."
            )
        pictures = [self.join(cells, *grid) for cells, grid in zip(torch.split(cells_NPF, counts), grids, strict=True)]
        places: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, grid in enumerate(grids):
            places[grid].append(place)
        codes: dict[int, Tensor] = {}
        for members in places.values():
            encoded = self(torch.stack([pictures[place] for place in members]))
            codes.update(zip(members, encoded, strict=True))
        return torch.cat([codes[place] for place in range(len(grids))]).unsqueeze(1)

    def join(self, cells_NPF: Tensor, rows: int, columns: int) -> Tensor:
        """Return the picture (C, H, W) that its cells (N, 1, C * side * side) were cut from."""
        side = self.patch_size
        grid = cells_NPF.reshape(rows, columns, -1, side, side)
        return grid.permute(2, 0, 3, 1, 4).reshape(-1, rows * side, columns * side)

    def _checked(self, codes_NP: Tensor) -> Tensor:
        if codes_NP.is_floating_point() or codes_NP.ndim != 2:
            raise ProcessingError(f"visual_ids must be integer codes (N, P), got {tuple(codes_NP.shape)}.")
        if codes_NP.numel() and not 0 <= int(codes_NP.min()) <= int(codes_NP.max()) < self.hidden_size:
            raise ProcessingError(
                f"visual_ids must lie in 0..{self.hidden_size - 1}, got {int(codes_NP.min())} to {int(codes_NP.max())}."
            )
        return codes_NP

    def decode(self, codes_NHW: Tensor) -> Tensor:
        """Return pixels (N, C, H, W), normalised; see ``decode_codes``."""
        return decode_codes(self.tower, codes_NHW)

    def train(self, mode: bool = True) -> VqEncoder:
        """Stay in evaluation mode: a tokenizer that changes gives other words for the same picture."""
        return super().train(False)

    def num_patches(self) -> int:
        """Return P of a tile."""
        return (self.image_size // self.patch_size) ** 2

    def unused_parameter_names(self) -> list[str]:
        """Return all names: the tokenizer is frozen."""
        return [name for name, _ in self.named_parameters()]
