"""The cache of frozen-encoder outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geoprose.core.errors import DataError
from geoprose.systems.build import build_system
from geoprose.training.pictures.features import FeatureStore, build_features, feature_key, input_statistics, preprocess
from geoprose.training.pictures.images import scan_images
from geoprose.training.pictures.visuals import VisualFiles
from geoprose.training.specs.data import FeatureSpec
from tests.fixtures.training import make_samples

if TYPE_CHECKING:
    from pathlib import Path

SPEC = FeatureSpec(dtype="fp32", shard_images=2, batch_size=2)


@pytest.fixture(scope="module")
def system() -> Any:
    return build_system("demo", scale="tiny")


@pytest.fixture
def images(tmp_path: Path) -> dict[str, VisualFiles]:
    make_samples(tmp_path, 3)
    return {
        digest: VisualFiles((path,))
        for path, digest in scan_images(sorted((tmp_path / "images").iterdir()), 0.0).digests.items()
    }


def _silent(done: int, total: int) -> None:
    pass


def test_features_are_what_the_encoder_says(system: Any, images: dict[str, VisualFiles], tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in system.model.state_dict().items()}
    store = build_features(system, images, SPEC, FeatureStore(tmp_path / "cache"), _silent)
    with torch.inference_mode():
        for digest, visual in images.items():
            expected = system.model.model.encode_images(preprocess(system, [visual])["pixel_values"])
            torch.testing.assert_close(store.get(digest), expected, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in system.model.state_dict().items())


def test_bf16_encoding_gives_the_weights_back(system: Any, images: dict[str, VisualFiles], tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in system.model.state_dict().items()}
    spec = FeatureSpec(dtype="bf16", encoder_precision="bf16")
    store = build_features(system, images, spec, FeatureStore(tmp_path), _silent)
    assert store.get(next(iter(images))).dtype == torch.bfloat16
    assert all(torch.equal(before[name], tensor) for name, tensor in system.model.state_dict().items())


def test_the_encoder_is_asked_once(system: Any, images: dict[str, VisualFiles], tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    for _ in range(2):
        store = build_features(
            system, images, SPEC, FeatureStore(tmp_path / "cache"), lambda d, t: asked.append((d, t))
        )
    assert asked == [(2, 3), (3, 3)]
    assert len(store) == 3


def test_a_shard_without_its_index_does_not_count(system: Any, images: dict[str, VisualFiles], tmp_path: Path) -> None:
    store = build_features(system, images, SPEC, FeatureStore(tmp_path / "cache"), _silent)
    next(iter(sorted(store.folder.glob("*.json")))).unlink()
    assert 0 < len(FeatureStore(store.folder)) < 3
    assert len(build_features(system, images, SPEC, FeatureStore(tmp_path / "cache"), _silent)) == 3
    next(iter(store.folder.glob("*.json"))).write_text("{")
    with pytest.raises(DataError, match="damaged"):
        FeatureStore(store.folder)


def test_a_stop_between_batches_keeps_whole_shards(system: Any, images: dict[str, VisualFiles], tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_features(system, images, SPEC, FeatureStore(tmp_path / "cache"), stop)
    assert len(FeatureStore(tmp_path / "cache")) == 2


def test_the_key_depends_on_all_that_matters(system: Any) -> None:
    key = feature_key(system, SPEC)
    assert key == feature_key(system, SPEC)
    assert key != feature_key(system, FeatureSpec(dtype="fp16"))
    system.processor.image_processor.resample = "nearest"
    assert key != feature_key(system, SPEC)
    system.processor.image_processor.resample = "bicubic"
    parameter = next(system.model.model.vision_encoder.parameters())
    parameter.data.add_(1e-3)
    assert key != feature_key(system, SPEC)
    parameter.data.sub_(1e-3)


def test_input_statistics(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    features = torch.randn(4, 5, 3) * torch.tensor([1.0, 2.0, 0.0]) + 7
    store.add(["a", "b", "c", "d"], features)
    mean, std = input_statistics(store, ["a", "b", "c"])
    flat = features[:3].reshape(-1, 3).numpy()
    np.testing.assert_allclose(mean.numpy(), flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(std.numpy()[:2], flat.std(0)[:2], rtol=1e-4)
    assert std[2] == pytest.approx(1e-4), "a constant channel must not divide by zero"
    with pytest.raises(DataError, match="no image"):
        input_statistics(store, [])


def test_the_key_tells_apart_which_layers_are_read(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = feature_key(system, SPEC)
    monkeypatch.setattr(system.model.model.vision_encoder, "_layers", (2, 1))
    assert feature_key(system, SPEC) != before
