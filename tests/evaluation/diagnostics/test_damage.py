"""Damaged pictures: each damage does what it says, grows with severity, and is the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.evaluation.diagnostics.damage import (
    CLOUD_BRIGHTNESS,
    DAMAGES,
    HAZE_BRIGHTNESS,
    damaged,
    fractal_noise,
)
from geoprose.evaluation.diagnostics.stand_ins import blank, shuffled_patches


def _picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(20, 160, (6, 8, 3)), np.ones((8, 8, 1)))
    return (smooth + rng.integers(0, 12, smooth.shape)).astype(np.uint8)


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_grows_with_severity_and_is_seeded(name: str) -> None:
    picture = _picture()
    steps = [damaged(picture, np.random.default_rng(3), name, severity) for severity in range(1, 6)]
    assert all(step.shape == picture.shape and step.dtype == np.uint8 for step in steps)
    distances = [_distance(step, picture) for step in steps]
    assert distances == sorted(distances)
    assert distances[0] > 0.5
    again = damaged(picture, np.random.default_rng(3), name, 4)
    assert (again == steps[3]).all()


def test_haze_is_the_scattering_model() -> None:
    dark, bright = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    hazy = [damaged(one, np.random.default_rng(1), "haze", 3).astype(float) / 255 for one in (dark, bright)]
    # I t + A (1 - t): the two pictures differ by t, and the dark one is A (1 - t) everywhere.
    passed = hazy[1] - hazy[0]
    assert hazy[0] == pytest.approx(HAZE_BRIGHTNESS * (1 - passed), abs=0.01)
    assert np.exp(-1.5 * 0.8) - 0.01 <= passed.min() <= passed.max() <= np.exp(-0.5 * 0.8) + 0.01


def test_clouds_cover_the_share_that_is_asked_for() -> None:
    dark = np.zeros((64, 64, 3), np.uint8)
    for severity, cover in enumerate((0.1, 0.2, 0.35, 0.5, 0.7), start=1):
        cloudy = damaged(dark, np.random.default_rng(5), "clouds", severity)
        assert (cloudy > 0).all(-1).mean() == pytest.approx(cover, abs=0.02)
        assert cloudy.max() <= round(CLOUD_BRIGHTNESS * 255)


def test_speckle_leaves_black_black_and_noise_does_not() -> None:
    dark = np.zeros((16, 16, 3), np.uint8)
    assert not damaged(dark, np.random.default_rng(1), "speckle", 5).any()
    assert damaged(dark, np.random.default_rng(1), "gaussian-noise", 1).any()


def test_noise_has_the_standard_deviation_of_its_severity() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = damaged(grey, np.random.default_rng(1), "gaussian-noise", 2).astype(float) / 255
    assert noisy.std() == pytest.approx(0.12, rel=0.03)


def test_fractal_noise_has_more_power_at_low_frequencies() -> None:
    noise = fractal_noise((64, 48), np.random.default_rng(2))
    assert noise.shape == (64, 48)
    assert (noise.min(), noise.max()) == (0, 1)
    power = np.abs(np.fft.rfft(noise - noise.mean(), axis=0)).mean(1)
    assert power[1:4].mean() > 10 * power[-8:].mean()


def test_blank_is_the_mean_colour() -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0] = 100
    assert (blank(picture, np.random.default_rng(0)) == 50).all()


def test_patches_are_exchanged_whole_and_the_rest_stays() -> None:
    picture = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    mixed = shuffled_patches(picture, np.random.default_rng(4), 2)
    assert (mixed != picture).any()
    assert sorted(mixed.ravel()) == sorted(picture.ravel())
    assert (mixed[6] == picture[6]).all()
    assert (mixed[:, 8] == picture[:, 8]).all()
    first = mixed[:3, :4]
    corners = [(0, 0), (0, 4), (3, 0), (3, 4)]
    assert any((first == picture[y : y + 3, x : x + 4]).all() for y, x in corners)
    assert (shuffled_patches(picture, np.random.default_rng(4), 20) == picture).all()
