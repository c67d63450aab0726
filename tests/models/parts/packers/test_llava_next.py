"""The packers of LLaVA-NeXT and LLaVA-OneVision give what their arrangements count, and what transformers packs."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.resolutions import RESOLUTIONS
from geoprose.layout.visual import VisualLayout
from geoprose.models.parts.packers.llava_next import LlavaNextPacker
from geoprose.models.parts.packers.onevision import OnevisionPacker

WIDTH = 3
PATCH_PX = 14
pictures = st.tuples(st.integers(1, 900), st.integers(1, 900))
names = st.sampled_from(["llava_next", "onevision"])


def _resolution(name, side):
    return RESOLUTIONS.get({"llava_next": "anyres"}.get(name, name))(image_size=side * PATCH_PX)


def _packer(name):
    return {"llava_next": LlavaNextPacker, "onevision": OnevisionPacker}[name](WIDTH).double()


def _tiles(layouts, side, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = sum(layout.num_tiles for layout in layouts)
    return torch.randn(rows, side**2, WIDTH, generator=generator, dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(st.lists(pictures, min_size=1, max_size=3), st.integers(1, 5), names, st.integers(0, 3))
def test_packer_gives_what_its_arrangement_counts(sizes, side, name, frames):
    resolution = _resolution(name, side)
    layouts = [resolution.plan(*size).layout for size in sizes] + [VisualLayout(height_px=9, width_px=5)]
    if frames and name == "onevision":
        layouts.append(resolution.plan_video(frames, 30, 20).layout)
    packed = _packer(name)(_tiles(layouts, side), layouts)
    arrangement = ARRANGEMENTS.get(name)()
    assert [len(run) for run in packed] == [num_tokens(arrangement, layout, side**2) for layout in layouts]


@settings(max_examples=40, deadline=None)
@given(st.lists(pictures, min_size=1, max_size=2), st.integers(1, 5), names)
def test_packing_equals_transformers(sizes, side, name):
    resolution, packer = _resolution(name, side), _packer(name)
    layouts = [resolution.plan(*size).layout for size in sizes]
    tiles = _tiles(layouts, side)
    pixels = side * PATCH_PX
    config = SimpleNamespace(
        vision_config=SimpleNamespace(image_size=pixels, patch_size=PATCH_PX),
        image_grid_pinpoints=[[rows * pixels, columns * pixels] for rows, columns in resolution.grids],
    )
    features = torch.split(tiles, [layout.num_tiles for layout in layouts])
    image_sizes = torch.tensor([[layout.height_px, layout.width_px] for layout in layouts])
    newline = packer.image_newline
    theirs, _ = (
        LlavaNextModel.pack_image_features(SimpleNamespace(config=config), features, image_sizes, "full", newline)
        if name == "llava_next"
        else LlavaOnevisionModel.pack_image_features(SimpleNamespace(config=config), features, image_sizes, newline)
    )
    for ours, expected in zip(packer(tiles, layouts), theirs, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("name", ["llava_next", "onevision"])
def test_one_tile_ends_with_one_newline(name):
    packer, layout = _packer(name), VisualLayout(height_px=5, width_px=9)
    tiles = _tiles([layout], 2)
    (run,) = packer(tiles, [layout])
    assert torch.equal(run, torch.cat([tiles[0], packer.image_newline[None]]))


def test_frames_are_pooled_and_the_video_ends_with_one_newline():
    packer, layout = _packer("onevision"), VisualLayout(3, 0, 0, 1, 20, 30)
    tiles = _tiles([layout], 4)
    (run,) = packer(tiles, [layout])
    # Side 4 to 2: the centre of a new cell lies in the middle of 2 x 2 old ones, whose mean it is.
    by_hand = tiles.reshape(3, 2, 2, 2, 2, WIDTH).mean(dim=(2, 4)).reshape(-1, WIDTH)
    torch.testing.assert_close(run[:-1], by_hand)
    assert torch.equal(run[-1], packer.image_newline)
    their_self = SimpleNamespace(config=SimpleNamespace(vision_config=SimpleNamespace(image_size=70, patch_size=14)))
    odd = _tiles([layout], 5)
    theirs = LlavaOnevisionModel.apply_pooling(their_self, odd).flatten(0, 1)
    torch.testing.assert_close(packer(odd, [layout])[0][:-1], theirs)


@pytest.mark.parametrize("name", ["llava_next", "onevision"])
def test_gradient_reaches_newline_and_tiles(name):
    packer, layout = _packer(name), _resolution(name, 3).plan(500, 500).layout
    tiles = _tiles([layout], 3).requires_grad_()
    weights = torch.linspace(1, 2, WIDTH, dtype=torch.float64)
    (packer(tiles, [layout])[0] * weights).sum().backward()
    assert bool((packer.image_newline.grad.abs() > 0).all())
    assert bool((tiles.grad.abs() > 0).all()), "a square picture has no padding that could be cut off"


def test_newline_starts_at_the_scale_of_a_unit_vector():
    torch.manual_seed(0)
    assert float(LlavaNextPacker(4096).image_newline.detach().norm()) == pytest.approx(1.0, rel=0.1)


def test_what_does_not_fit_is_refused():
    layout = _resolution("llava_next", 2).plan(100, 100).layout
    with pytest.raises(ProcessingError, match="describe 5 tiles but the pictures gave 2"):
        _packer("llava_next")(_tiles([layout], 2)[:2], [layout])
    with pytest.raises(ConfigError, match="no square"):
        _packer("llava_next")(torch.zeros(5, 8, WIDTH), [layout])
    with pytest.raises(ProcessingError, match="without it"):
        _packer("onevision")(torch.zeros(2, 4, WIDTH), [VisualLayout(rows=2)])
    with pytest.raises(ConfigError, match="max_tiles"):
        OnevisionPacker(WIDTH, max_tiles=0)
