"""The first layer of each ImageBind tower: pixels, sound, motion or text to tokens.

Shapes: N inputs, P patches, E width of the tower.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geoprose.core.errors import ConfigError, ProcessingError

if TYPE_CHECKING:
    from geoprose.models.own_configs import ImageBindConfig

FRAMES_PER_TUBE = 2
"""Frames that one patch of the image tower spans; a picture is shown twice."""
_STEM_NORM_EPS = 1e-5


class Stem(nn.Module, ABC):
    """Patches, a class token in front, and a position vector for each.

    Attributes:
        input_shape: Shape of one input.
        num_patches: P.
    """

    input_shape: tuple[int, ...]
    num_patches: int

    def __init__(self, config: ImageBindConfig) -> None:
        super().__init__()
        self._measure(config)
        self.patches = self._patch_layer(config)
        self.norm = self._norm(config)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size)) if self._has_class_token() else None
        rows = self.num_patches + int(self.class_token is not None)
        self.positions = nn.Parameter(torch.zeros(1, rows, config.hidden_size))

    @abstractmethod
    def _measure(self, config: ImageBindConfig) -> None:
        """Set ``input_shape`` and ``num_patches``."""

    @abstractmethod
    def _patch_layer(self, config: ImageBindConfig) -> nn.Module:
        """Return the layer that embeds a patch."""

    @abstractmethod
    def _embed(self, values: Tensor) -> Tensor:
        """Return embedded patches (N, P, E)."""

    def _norm(self, config: ImageBindConfig) -> nn.Module:
        return nn.LayerNorm(config.hidden_size, eps=_STEM_NORM_EPS)

    def _has_class_token(self) -> bool:
        return True

    def forward(self, values: Tensor) -> Tensor:
        """Return tokens (N, 1 + P, E), the class token first where there is one."""
        tokens = self.norm(self._embed(self._checked(values)))
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1)
        return tokens + self.positions  # type: ignore[no-any-return]

    def _checked(self, values: Tensor) -> Tensor:
        if tuple(values.shape[1:]) != self.input_shape:
            raise ProcessingError(
                f"This ImageBind tower reads inputs of shape {self.input_shape}, got {tuple(values.shape[1:])}; "
                "bring the input to that size first."
            )
        return values

    @torch.no_grad()
    def init_vectors(self) -> None:
        """Draw class token and position vectors with standard deviation ``E ** -0.5``, as OpenCLIP does."""
        std = self.positions.shape[-1] ** -0.5
        nn.init.normal_(self.positions, std=std)
        if self.class_token is not None:
            nn.init.normal_(self.class_token, std=std)


class PictureStem(Stem):
    """Colour pictures (N, 3, H, W) and tubes of two frames (N, 3, 2, H, W); no norm behind the convolution."""

    def _measure(self, config: ImageBindConfig) -> None:
        rows, columns = _extent(config, 2)
        self.input_shape = (3, rows, columns)
        self.num_patches = _count(rows, config) * _count(columns, config)

    def _patch_layer(self, config: ImageBindConfig) -> nn.Module:
        size = (FRAMES_PER_TUBE, config.patch_size, config.patch_size)
        step = _stride(config)
        return nn.Conv3d(3, config.hidden_size, size, (FRAMES_PER_TUBE, step, step), bias=False)

    def _norm(self, config: ImageBindConfig) -> nn.Module:
        return nn.Identity()

    def _checked(self, values: Tensor) -> Tensor:
        if values.ndim == 4:
            values = values.unsqueeze(2).expand(-1, -1, FRAMES_PER_TUBE, -1, -1)
        if values.ndim != 5 or values.shape[2] != FRAMES_PER_TUBE:
            raise ProcessingError(
                f"ImageBind reads pictures (N, 3, H, W) or clips of {FRAMES_PER_TUBE} frames (N, 3, 2, H, W); "
                f"got shape {tuple(values.shape)}."
            )
        super()._checked(values[:, :, 0])
        return values

    def _embed(self, values: Tensor) -> Tensor:
        return self.patches(values).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class PlaneStem(Stem):
    """One plane (N, 1, H, W): depth, heat, or a spectrogram (mel bins, frames) cut into overlapping patches."""

    def _measure(self, config: ImageBindConfig) -> None:
        rows, columns = _extent(config, 2)
        self.input_shape = (1, rows, columns)
        self.num_patches = _count(rows, config) * _count(columns, config)

    def _patch_layer(self, config: ImageBindConfig) -> nn.Module:
        return nn.Conv2d(1, config.hidden_size, config.patch_size, _stride(config), bias=False)

    def _embed(self, values: Tensor) -> Tensor:
        return self.patches(values).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class MotionStem(Stem):
    """A motion sensor (N, 6, T): the samples of all six channels in a window of time are one patch."""

    num_channels = 6

    def _measure(self, config: ImageBindConfig) -> None:
        (samples,) = _extent(config, 1)
        self.input_shape = (self.num_channels, samples)
        self.num_patches = _count(samples, config)
        self._window = config.patch_size

    def _patch_layer(self, config: ImageBindConfig) -> nn.Module:
        return nn.Linear(self.num_channels * config.patch_size, config.hidden_size, bias=False)

    def _embed(self, values: Tensor) -> Tensor:
        windows_N6PW = values.unfold(-1, self._window, self._window)
        return self.patches(windows_N6PW.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class TextStem(Stem):
    """Token ids (N, T): no class token, no norm."""

    def _measure(self, config: ImageBindConfig) -> None:
        (length,) = _extent(config, 1)
        self.input_shape = (length,)
        self.num_patches = length

    def _patch_layer(self, config: ImageBindConfig) -> nn.Module:
        return nn.Embedding(config.vocab_size, config.hidden_size)

    def _norm(self, config: ImageBindConfig) -> nn.Module:
        return nn.Identity()

    def _has_class_token(self) -> bool:
        return False

    def _embed(self, values: Tensor) -> Tensor:
        return self.patches(values)  # type: ignore[no-any-return]


def _extent(config: ImageBindConfig, axes: int) -> tuple[int, ...]:
    """Return the extent of the input along each axis; one number stands for all of them."""
    size = config.image_size
    extent = (size,) * axes if isinstance(size, int) else tuple(size)
    if len(extent) != axes:
        raise ConfigError(f"image_size {size} has {len(extent)} axes; {config.modality} inputs have {axes}.")
    if min(extent) < config.patch_size:
        raise ConfigError(f"image_size {size} is smaller than a patch of {config.patch_size}.")
    return extent


def _stride(config: ImageBindConfig) -> int:
    return config.stride or config.patch_size


def _count(extent: int, config: ImageBindConfig) -> int:
    return (extent - config.patch_size) // _stride(config) + 1
