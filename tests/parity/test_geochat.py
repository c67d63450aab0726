"""GeoChat's position table: 24 x 24 to 36 x 36, bicubic, corners aligned."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from geoprose.models.parts.encoders.position_table import resize_position_table
from geoprose.systems.build import build_meta_model
from geoprose.systems.presets import load_preset


def _cubic(distance):
    """Keys' kernel with a = -0.75, as torch uses it."""
    a, t = -0.75, np.abs(distance)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def _matrix(old, new):
    """Weights (new, old) of one axis: new corner pixels lie on old corner pixels; edges repeat."""
    weights = np.zeros((new, old))
    for row in range(new):
        position = row * (old - 1) / (new - 1)
        base = int(np.floor(position))
        for tap in range(base - 1, base + 3):
            weights[row, min(max(tap, 0), old - 1)] += _cubic(position - tap)
    return weights


@pytest.fixture(scope="module")
def table():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(577, 8)))


def test_table_equals_bicubic_by_hand(table):
    resized = resize_position_table(table, 1, 36, "bicubic", align_corners=True)
    weights = _matrix(24, 36)
    grid = table[1:].numpy().reshape(24, 24, 8)
    expected = np.einsum("yi,xj,ijc->yxc", weights, weights, grid).reshape(1296, 8)
    assert resized.shape == (1297, 8)
    assert torch.equal(resized[0], table[0])
    assert np.abs(resized[1:].numpy() - expected).max() < 1e-12


def test_table_equals_torch(table):
    grid = table[1:].T.reshape(1, 8, 24, 24)
    expected = F.interpolate(grid, size=(36, 36), mode="bicubic", align_corners=True).flatten(2)[0].T
    assert torch.equal(resize_position_table(table, 1, 36, "bicubic", align_corners=True)[1:], expected)


def test_negative_control_unaligned_corners_differ(table):
    aligned = resize_position_table(table, 1, 36, "bicubic", align_corners=True)
    assert (resize_position_table(table, 1, 36, "bicubic", align_corners=False) - aligned).abs().max() > 0.1


def test_corner_rows_are_kept(table):
    resized = resize_position_table(table, 1, 36, "bicubic", align_corners=True)
    for new, old in ((0, 0), (35, 23), (36 * 35, 24 * 23), (1295, 575)):
        torch.testing.assert_close(resized[1 + new], table[1 + old], atol=1e-12, rtol=0)


def test_the_preset_states_what_was_published():
    spec = load_preset("geochat")
    model = build_meta_model(spec)
    assert (spec.vision_encoder.position_table.mode, spec.vision_encoder.position_table.align_corners) == (
        "bicubic",
        True,
    )
    assert (spec.resolution.mode, spec.resolution.image_size, spec.box_format) == ("center_crop", 504, "geochat")
    assert model.model.num_visual_tokens == 1296
    assert model.model.vision_encoder.state_dict()[model.model.vision_encoder.position_table_key()].shape == (
        1297,
        1024,
    )
