"""The encoders of the scale experiment see what they say they see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from geoprose.experiments.reproduce.scale_encoders import SceneEncoder


def _picture(kind: str) -> np.ndarray:
    if kind == "flat":
        return np.full((20, 20, 3), (40, 120, 200), np.uint8)
    return np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoders() -> dict[str, SceneEncoder]:
    return {
        "single": SceneEncoder("demo", is_tiny=True),
        "large": SceneEncoder("demo", enlarge=2, is_tiny=True),
        "multi": SceneEncoder("demo", scales=(1, 2), is_tiny=True),
    }


def test_two_scales_stand_side_by_side_in_one_network(encoders: dict[str, SceneEncoder]) -> None:
    single, multi = (encoders[name].encode([_picture("flat")]) for name in ("single", "multi"))
    width = single.shape[1]
    assert multi.shape == (1, 2 * width)
    # A picture of one colour looks the same at every scale, so both halves are what one look gives.
    assert torch.allclose(multi[:, :width], single, atol=1e-4)
    assert torch.allclose(multi[:, width:], single, atol=1e-4)
    assert encoders["multi"].num_parameters == encoders["single"].num_parameters


def test_the_second_scale_sees_more_of_a_picture_with_detail(encoders: dict[str, SceneEncoder]) -> None:
    multi = encoders["multi"].encode([_picture("noise")])
    width = multi.shape[1] // 2
    assert not torch.allclose(multi[:, :width], multi[:, width:], atol=1e-2)


def test_one_look_may_be_at_the_enlarged_picture(encoders: dict[str, SceneEncoder]) -> None:
    picture = Image.fromarray(_picture("flat"))
    tiles = {}
    for name, encoder in encoders.items():
        tiles[name] = encoder.processor([picture], return_tensors="pt")["pixel_values"].shape[-1]
    assert tiles["large"] == tiles["multi"] == 2 * tiles["single"]
    encoders["single"].encode([_picture("flat")])
    assert encoders["single"].seconds_per_picture > 0
