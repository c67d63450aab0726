"""Scenes as pictures: values stretched to 0..1 with the stretch recorded, and 8-bit RGB for encoders and people."""

# ruff: noqa: N803, N806 - arrays carry their shape as a suffix

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from geoprose.scenes.bands import BandRequest, select_bands
from geoprose.scenes.scene import Scene, Stretch

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW_PERCENTILE, HIGH_PERCENTILE = 2.0, 98.0
_MAX_SAMPLES = 1 << 20  # percentiles of a regular sample of this many pixels differ by less than one grey level


def render_rgb(scene: Scene, bands: BandRequest = None) -> Scene:
    """Return the scene as a picture of three bands, float32 from 0 to 1, with the stretch it used.

    - 8-bit values: divided by 255, no stretch beyond that, so that the picture is the one the file shows.
    - Other types: each band from its 2nd to its 98th percentile over the valid pixels, so a few clouds do not darken
      the ground. Complex values are shown by their magnitude.
    - Paletted bands are shown in their colours. One band becomes grey; two bands show the first one.
    - Pixels without data are 0.

    Args:
        scene: A scene as read; a rendered one is returned unchanged when ``bands`` is None.
        bands: Which of ``scene.bands`` become red, green and blue (or one for grey); by default the bands named red,
            green and blue when they exist, else the first three.

    Raises:
        SceneError: If a band is not in the scene.
    """
    if bands is None and scene.stretch is not None and len(scene.bands) == 3:
        return scene
    if scene.palette_NC is not None and scene.pixels_CHW.shape[0] == 1:
        return _render_palette(scene, scene.palette_NC)
    numbers = _picture_bands(scene) if bands is None else select_bands(bands, scene.bands, None, scene.source)
    numbers = numbers if len(numbers) >= 3 else numbers[:1] * 3
    indices = [number - 1 for number in numbers[:3]]
    stretch = scene.stretch
    values_CHW = scene.pixels_CHW[indices]
    if stretch is None:
        values_CHW = np.abs(values_CHW) if np.iscomplexobj(values_CHW) else values_CHW
        stretch = _stretch(values_CHW, scene.is_valid_HW)
        low, high = (np.asarray(side, dtype=np.float64)[:, None, None] for side in (stretch.low, stretch.high))
        with np.errstate(invalid="ignore", over="ignore"):
            values_CHW = np.clip((values_CHW - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    pixels_CHW = np.where(scene.is_valid_HW, values_CHW, 0.0).astype(np.float32)
    names = tuple(scene.bands[index] for index in indices)
    return replace(scene, pixels_CHW=pixels_CHW, bands=names, stretch=stretch, palette_NC=None)


def to_picture(scene: Scene) -> Image.Image:
    """Return the scene as an 8-bit RGB picture; pixels without data are black."""
    rendered = render_rgb(scene)
    grey_CHW = np.rint(rendered.pixels_CHW * 255.0).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(grey_CHW.transpose(1, 2, 0)))


def _picture_bands(scene: Scene) -> list[int]:
    lowered = [name.lower() for name in scene.bands]
    if {"red", "green", "blue"} <= set(lowered):
        return [lowered.index(colour) + 1 for colour in ("red", "green", "blue")]
    return list(range(1, min(3, len(lowered)) + 1))


def _stretch(values_CHW: NDArray[Any], is_valid_HW: NDArray[np.bool_]) -> Stretch:
    if values_CHW.dtype == np.uint8:
        return Stretch("range", (0.0,) * len(values_CHW), (255.0,) * len(values_CHW))
    step = max(1, int(np.ceil(np.sqrt(is_valid_HW.size / _MAX_SAMPLES))))
    is_valid = is_valid_HW[::step, ::step]
    if not is_valid.any():
        step, is_valid = 1, is_valid_HW
    sample = values_CHW[:, ::step, ::step][:, is_valid].astype(np.float64)
    low, high = np.percentile(sample, (LOW_PERCENTILE, HIGH_PERCENTILE), axis=1)
    return Stretch("percentile", tuple(low.tolist()), tuple(high.tolist()))


def _render_palette(scene: Scene, palette_NC: NDArray[np.uint8]) -> Scene:
    # Contract: values without a colour are black, as GDAL shows them.
    table_NC = np.concatenate([palette_NC[:, :3], np.zeros((1, 3), dtype=np.uint8)])
    values_HW = np.clip(scene.pixels_CHW[0], 0, len(table_NC) - 1).astype(np.intp)
    pixels_CHW = table_NC[values_HW].transpose(2, 0, 1).astype(np.float32) / 255.0
    pixels_CHW[:, ~scene.is_valid_HW] = 0.0
    stretch = Stretch("palette", (0.0,) * 3, (255.0,) * 3)
    return replace(scene, pixels_CHW=pixels_CHW, bands=scene.bands * 3, stretch=stretch, palette_NC=None)
