"""Cached features say what the encoder says of the pixels, for every shape that encoders return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import DataError
from geoprose.data.neutral import read_samples
from geoprose.systems.build import build_system
from geoprose.training.pictures.features import BlankFeatures, FeatureStore, build_features
from geoprose.training.pictures.images import ImageScan, scan_images
from geoprose.training.pictures.vision import Vision, files_of, in_model_dtypes
from geoprose.training.pictures.visuals import VisualFiles
from geoprose.training.specs.data import FeatureSpec
from tests.fixtures.systems_data import write_system_data
from tests.fixtures.training import make_samples

if TYPE_CHECKING:
    from pathlib import Path

SPEC = FeatureSpec(dtype="fp32", batch_size=3, shard_images=4)
SHAPES = ["llava-next", "qwen2-vl", "emu3", "deepseek-vl-hybrid", "llama-3.2-vision", "fuyu", "em-vlm4ad"]
"""Several tiles; ragged patches; codes (whole numbers); two views; empty slots; no tower; frames of a video."""


def _seen(system: Any, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    from geoprose.models.inputs import VisualInputs

    with torch.no_grad():
        placed = in_model_dtypes(dict(inputs), system.model)
        return list(system.model.model.visuals(VisualInputs(**placed)).tokens)


@pytest.mark.parametrize("name", SHAPES)
def test_cached_equals_pixels(name: str, tmp_path: Path) -> None:
    system: Any = build_system(name, scale="tiny")
    folder = write_system_data(tmp_path, system, num_samples=3)
    samples = read_samples(folder / "train.jsonl")
    scan = scan_images([folder / image for sample in samples for image in sample.images], 0.0)
    visuals = {f.key(scan.digests): f for sample in samples for f in files_of(system, sample, folder)}
    store = build_features(system, visuals, SPEC, FeatureStore(tmp_path / "cache"), lambda done, total: None)
    assert len(store) == 3
    for sample in samples:
        files = files_of(system, sample, folder)
        cached, pixels = (Vision(scan, source).inputs(system, files) for source in (store, None))
        assert torch.equal(cached["visual_layouts"], pixels["visual_layouts"])
        for ours, theirs in zip(_seen(system, cached), _seen(system, pixels), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_pictures_of_one_sample_are_cut_otherwise(tmp_path: Path) -> None:
    """LLaVA-OneVision shows several pictures with one tile each, so the same file has two sets of features."""
    system: Any = build_system("llava-onevision", scale="tiny")
    side = system.processor.image_processor.resolution["image_size"]
    from PIL import Image

    Image.new("RGB", (3 * side, side)).save(tmp_path / "a.png")
    scan = scan_images([tmp_path / "a.png"], 0.0)
    alone, beside = VisualFiles((tmp_path / "a.png",)), VisualFiles((tmp_path / "a.png",), num_pictures=2)
    store = build_features(
        system,
        {f.key(scan.digests): f for f in (alone, beside)},
        SPEC,
        FeatureStore(tmp_path / "cache"),
        lambda d, t: None,
    )
    rows = [len(store.get(f.key(scan.digests))) for f in (alone, beside)]
    assert rows[0] > rows[1] == 1
    vision = Vision(scan, store)
    assert vision.inputs(system, [beside, beside])["vision_features"].shape[0] == 2


def test_plans_need_no_picture_where_sizes_do_not_matter(tmp_path: Path) -> None:
    system: Any = build_system("llava-1.5", scale="tiny")
    (plan,) = Vision(ImageScan({}, {}), None).plans(system, [VisualFiles((tmp_path / "none.png",))])
    assert plan.layout.num_tiles == 1
    tiled: Any = build_system("internvl-2.5", scale="tiny")
    with pytest.raises(DataError, match="does not exist"):
        Vision(ImageScan({}, {}), None).plans(tiled, [VisualFiles((tmp_path / "none.png",))])


def test_a_stale_cache_is_noticed(tmp_path: Path) -> None:
    system: Any = build_system("llava-1.5", scale="tiny")
    make_samples(tmp_path, 1)
    path = tmp_path / "images" / "0.png"
    scan = scan_images([path], 0.0)
    files = VisualFiles((path,))
    key = files.key(scan.digests)
    store = build_features(system, {key: files}, SPEC, FeatureStore(tmp_path / "cache"), lambda done, total: None)
    with pytest.raises(DataError, match="holds 1 rows of features of a picture that becomes 2"):
        store.rows(key, 2)


def test_blank_features_have_the_shape_of_real_ones() -> None:
    for name in ("llava-1.5", "qwen2-vl", "emu3"):
        system: Any = build_system(name, scale="tiny")
        blank = BlankFeatures(system)
        assert blank.rows("any", 3).shape[0] == 3
        assert float(blank.get("any").float().abs().max()) == 0.0
        assert blank.get("any").is_floating_point() == (name != "emu3")
