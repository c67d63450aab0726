"""What our image processor makes of pictures for Chameleon, Emu3 and Janus equals their own processors."""

import numpy as np
import pytest
import torch
from PIL import Image

from geoprose.layout.visual import VisualLayout
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.systems.presets import load_preset

SIZES = [(64, 48), (37, 90), (70, 70)]


def _ours(preset, **changes):
    resolution = load_preset(preset).resolution
    return GeoproseImageProcessor(
        resolution.as_config() | changes, resolution.resample, resolution.image_mean, resolution.image_std
    )


def _noise(size):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_chameleon(size):
    from transformers.models.chameleon.image_processing_pil_chameleon import ChameleonImageProcessorPil

    theirs = ChameleonImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    expected = theirs(_noise(size), return_tensors="np")["pixel_values"]
    pixels = _ours("chameleon", image_size=32)(_noise(size), return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(pixels, expected, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_janus(size):
    from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

    theirs = JanusImageProcessorPil(size={"height": 48, "width": 48}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    expected = theirs(_noise(size), return_tensors="np")["pixel_values"]
    pixels = _ours("janus", image_size=48)(_noise(size), return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(pixels, expected, atol=1e-5)


@pytest.mark.parametrize("size", [*SIZES, (11, 5)])
def test_emu3(size):
    from transformers.models.emu3.image_processing_emu3 import Emu3ImageProcessor

    limits = {"min_pixels": 16 * 16, "max_pixels": 64 * 64}
    theirs = Emu3ImageProcessor(image_mean=[0.5] * 3, image_std=[0.5] * 3, **limits)
    processed = theirs(_noise(size), return_tensors="np")
    ours = _ours("emu3", **limits, video_min_pixels=256, video_max_pixels=4096)(_noise(size), return_tensors="pt")
    layout = VisualLayout(*ours["visual_layouts"][0].tolist())
    expected = torch.from_numpy(np.asarray(processed["pixel_values"][0], dtype=np.float32)).reshape(
        3, layout.rows * 8, -1
    )
    cells = expected.reshape(3, layout.rows, 8, layout.columns, 8).permute(1, 3, 0, 2, 4).reshape(-1, 1, 192)
    torch.testing.assert_close(ours["pixel_values"], cells, rtol=0, atol=1e-5)
    assert processed["image_sizes"].tolist() == [[layout.rows * 8, layout.columns * 8]]
