"""Time series of several sensors to tensors: checked and normalised band by band.

Shapes: N places, T dates, C bands, H W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from geoprose.core.errors import ProcessingError

if TYPE_CHECKING:
    from collections.abc import Mapping


class MultiSourceProcessor(BaseImageProcessor):  # type: ignore[misc]  # transformers is untyped
    """Arrays of every modality to ``pixel_values``.

    Args:
        modalities: Name to ``{"num_bands", "image_size", "mean", "std"}``; mean and std have one value per band.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012 - the form is the contract of transformers

    def __init__(self, modalities: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.modalities = {name: dict(values) for name, values in (modalities or {}).items()}

    def preprocess(self, images: Mapping[str, Any], return_tensors: str | None = None, **kwargs: Any) -> BatchFeature:
        """Return ``{"pixel_values": {modality: (N, T, C, H, W) float32}}``.

        Args:
            images: Modality to an array (N, T, C, H, W) of the sensor's own units.
            return_tensors: Ignored; tensors are torch.
            **kwargs: Ignored.

        Raises:
            ProcessingError: If a modality is unknown, or its shape or values do not fit.
        """
        return BatchFeature({"pixel_values": {name: self._series(name, values) for name, values in images.items()}})

    def _series(self, name: str, values: Any) -> torch.Tensor:
        if name not in self.modalities:
            raise ProcessingError(f"Unknown modality {name!r}. Known: {', '.join(self.modalities)}.")
        modality = self.modalities[name]
        series = np.asarray(values, dtype=np.float32)
        bands, side = modality["num_bands"], modality["image_size"]
        if series.ndim != 5 or series.shape[2:] != (bands, side, side):
            raise ProcessingError(
                f"Modality {name} needs (places, dates, {bands} bands, {side}, {side} px), got {series.shape}."
            )
        if not np.isfinite(series).all():
            raise ProcessingError(f"Modality {name} holds values that are no numbers; fill them first.")
        mean, std = (np.asarray(modality[key], np.float32)[:, None, None] for key in ("mean", "std"))
        return torch.from_numpy((series - mean) / std)
