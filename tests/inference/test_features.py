"""Each picture is encoded once, and the features are those of the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from geoprose.core.errors import DataError
from geoprose.inference import features as module
from geoprose.inference.features import FeatureCache, image_key, open_picture
from geoprose.models.inputs import VisualInputs
from tests.fixtures.systems import picture, pixels_of, tiny_system

if TYPE_CHECKING:
    from pathlib import Path


def test_features_equal_the_encoder_and_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    system = tiny_system(dtype=torch.float32)
    calls: list[int] = []
    encode = system.model.model.vision_encoder.encode

    def counted(inputs: VisualInputs) -> torch.Tensor:
        calls.append(inputs.pixel_values.shape[0])
        return encode(inputs)

    monkeypatch.setattr(system.model.model.vision_encoder, "encode", counted)
    cache = FeatureCache(system)
    first = cache.get([[picture(0), picture(1)], [picture(0)]])
    again = cache.get([[picture(1), picture(0)]])
    with torch.no_grad():
        expected = encode(VisualInputs(pixel_values=pixels_of(system, 0, 1)))
    assert calls == [2]
    torch.testing.assert_close(first["vision_features"], expected[[0, 1, 0]])
    assert first["visual_layouts"].tolist() == [[1, 1, 1, 0, 40, 40]] * 3
    torch.testing.assert_close(again["vision_features"], expected[[1, 0]])


def test_the_oldest_pictures_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PICTURES", 2)
    cache = FeatureCache(tiny_system(dtype=torch.float32))
    shapes = [cache.get([[picture(seed)]])["vision_features"].shape[0] for seed in range(4)]
    assert shapes == [1, 1, 1, 1]
    assert list(cache._kept) == [image_key(picture(2)), image_key(picture(3))]


def test_unreadable_pictures_are_named(tmp_path: Path) -> None:
    path = tmp_path / "torn.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n torn")
    for bad in (path, tmp_path / "missing.png"):
        with pytest.raises(DataError, match=bad.name):
            open_picture(bad)


def test_keys_tell_pictures_apart() -> None:
    assert image_key(picture(0)) == image_key(picture(0).copy())
    assert image_key(picture(0)) != image_key(picture(1))
    assert image_key(picture(0, (20, 80))) != image_key(picture(0, (80, 20)))
