"""Damage pictures in the ways that remote sensing knows, in five steps of severity.

Pixels are uint8 (H, W, 3); arithmetic is in 0..1. Everything random comes from the generator that is given.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

Damage = Callable[["NDArray[np.uint8]", np.random.Generator, float], "NDArray[np.uint8]"]
"""Pixels, generator and the strength of the severity to damaged pixels."""
HAZE_BRIGHTNESS = 0.9
"""Airlight of haze, of white."""
CLOUD_BRIGHTNESS = 0.96
"""Reflected light of a thick cloud, of white."""
SPECTRAL_SLOPE = 1.8
"""Amplitudes of cloud noise fall with frequency to this power; clouds' radiance spectra lie near 5/3."""


def jpeg(pixels: NDArray[np.uint8], _: np.random.Generator, quality: float) -> NDArray[np.uint8]:
    """Return the picture written as JPEG at a quality of 1 to 95 and read again."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, format="JPEG", quality=int(quality))
    return np.asarray(Image.open(held).convert("RGB"))


def gaussian_noise(pixels: NDArray[np.uint8], rng: np.random.Generator, sigma: float) -> NDArray[np.uint8]:
    """Add noise of a standard deviation, of the range 0..1, to every value."""
    return _to_bytes(_to_unit(pixels) + rng.normal(0, sigma, pixels.shape))


def speckle(pixels: NDArray[np.uint8], rng: np.random.Generator, sigma: float) -> NDArray[np.uint8]:
    """Multiply every value by 1 plus noise of a standard deviation, as coherent sensors do."""
    unit = _to_unit(pixels)
    return _to_bytes(unit + unit * rng.normal(0, sigma, pixels.shape))


def blur(pixels: NDArray[np.uint8], _: np.random.Generator, radius_px: float) -> NDArray[np.uint8]:
    """Blur with a Gaussian of a standard deviation in pixels."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius_px)))


def haze(pixels: NDArray[np.uint8], rng: np.random.Generator, optical_depth: float) -> NDArray[np.uint8]:
    """Put haze over the picture: ``I t + A (1 - t)`` with transmission ``t = exp(-depth)``.

    The depth varies slowly over the picture between a half and one and a half times the one that is given.

    Source:
        The atmospheric scattering model: Narasimhan and Nayar, Vision and the Atmosphere, IJCV 48 (2002), eq. 13.
    """
    depth_HW = optical_depth * (0.5 + fractal_noise((pixels.shape[0], pixels.shape[1]), rng))
    passed_HW1 = np.exp(-depth_HW)[..., None]
    return _to_bytes(_to_unit(pixels) * passed_HW1 + HAZE_BRIGHTNESS * (1 - passed_HW1))


def clouds(pixels: NDArray[np.uint8], rng: np.random.Generator, cover: float) -> NDArray[np.uint8]:
    """Put clouds over a share of the picture: white where fractal noise is high, thin at their edges."""
    noise_HW = fractal_noise((pixels.shape[0], pixels.shape[1]), rng)
    edge = np.quantile(noise_HW, 1 - cover)
    opacity_HW1 = np.clip((noise_HW - edge) / 0.12, 0, 1)[..., None]
    return _to_bytes(_to_unit(pixels) * (1 - opacity_HW1) + CLOUD_BRIGHTNESS * opacity_HW1)


def fractal_noise(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return noise (H, W) from 0 to 1 whose amplitudes fall with frequency as a power, so that it has no one scale.

    Source:
        Spectral synthesis: Peitgen and Saupe, The Science of Fractal Images (1988), section 2.5.
    """
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=size)) / frequency**SPECTRAL_SLOPE
    noise: NDArray[np.float64] = np.fft.irfft2(spectrum, s=size)
    spread = noise.max() - noise.min()
    return (noise - noise.min()) / spread if spread > 0 else np.full(size, 0.5)


DAMAGES: dict[str, tuple[Damage, tuple[float, float, float, float, float]]] = {
    "jpeg": (jpeg, (25, 18, 15, 10, 7)),
    "gaussian-noise": (gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    "speckle": (speckle, (0.15, 0.2, 0.35, 0.45, 0.6)),
    "blur": (blur, (1, 2, 3, 4, 6)),
    "haze": (haze, (0.25, 0.5, 0.8, 1.2, 1.8)),
    "clouds": (clouds, (0.1, 0.2, 0.35, 0.5, 0.7)),
}
"""Damages by name, with their strength at severity 1 to 5: quality; standard deviations; pixels; optical depth; cover.

Source: JPEG, noise, speckle and blur as ImageNet-C (Hendrycks and Dietterich, arXiv:1903.12261,
imagenet_c/corruptions.py); haze and clouds are ours.
"""


def damaged(pixels: NDArray[np.uint8], rng: np.random.Generator, name: str, severity: int) -> NDArray[np.uint8]:
    """Return a picture damaged at a severity of 1 to 5."""
    damage, strengths = DAMAGES[name]
    return damage(pixels, rng, strengths[severity - 1])


def _to_unit(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return pixels.astype(np.float64) / 255


def _to_bytes(unit: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
