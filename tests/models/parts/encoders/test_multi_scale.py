"""S2 against a plain loop over scales and squares; any encoder can be wrapped."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPVisionConfig, SiglipVisionConfig

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.encoders.multi_scale import MultiScaleEncoder
from geoprose.systems.build import build_system
from geoprose.systems.load import load_system
from geoprose.systems.presets import load_preset
from geoprose.systems.save import save_system
from tests.fixtures.systems import pixels_of, prompt_ids, randomise

COMMON = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "patch_size": 4}
CONFIGS = {"clip": CLIPVisionConfig, "siglip": SiglipVisionConfig}


def _encoder(base="clip", scales=(1, 2), side=3, layer=None):
    config = CONFIGS[base](**COMMON, image_size=side * 4 * scales[-1])
    encoder = MultiScaleEncoder(config, layer, pool=scales[-1], base=base, scales=scales).double().eval()
    randomise(encoder)
    return encoder


def _by_loops(encoder, pixels):
    base_px, side = encoder.image_size // encoder.pool, encoder.grid_side()
    columns = []
    for scale in encoder.scales:
        image = pixels
        if scale != encoder.pool:
            image = F.interpolate(pixels, size=(base_px * scale, base_px * scale), mode="bicubic")
        whole = torch.zeros(len(pixels), encoder.base.hidden_size, side * scale, side * scale, dtype=torch.float64)
        for row in range(scale):
            for column in range(scale):
                y, x = row * base_px, column * base_px
                features = encoder.base(image[:, :, y : y + base_px, x : x + base_px])
                square = features.transpose(1, 2).reshape(len(pixels), -1, side, side)
                whole[:, :, row * side : (row + 1) * side, column * side : (column + 1) * side] = square
        columns.append(F.interpolate(whole, size=(side, side), mode="area").flatten(2).transpose(1, 2))
    return torch.cat(columns, -1)


@pytest.mark.parametrize("base", CONFIGS)
@given(scales=st.sampled_from([(1,), (1, 2), (2,), (1, 3), (1, 2, 4)]), side=st.integers(1, 3))
@settings(max_examples=5, deadline=None)
def test_equals_a_loop_over_scales_and_squares(base, scales, side):
    encoder = _encoder(base, scales, side)
    pixels = torch.randn(2, 3, encoder.image_size, encoder.image_size, dtype=torch.float64)
    with torch.no_grad():
        features = encoder(pixels)
        assert features.shape == (2, encoder.num_patches(), encoder.hidden_size) == (2, side**2, 8 * len(scales))
        assert (features - _by_loops(encoder, pixels)).abs().max() < 1e-12


def test_one_scale_is_the_wrapped_encoder():
    encoder = _encoder("siglip", (1,))
    pixels = torch.randn(1, 3, 12, 12, dtype=torch.float64)
    assert torch.equal(encoder(pixels), encoder.base(pixels))


def test_a_small_thing_moves_the_features_of_its_own_patch_only_at_the_large_scale():
    encoder = _encoder("clip", (1, 2))
    pixels = torch.zeros(1, 3, 24, 24, dtype=torch.float64)
    changed = pixels.clone()
    changed[0, :, 13, 20] = 1.0
    moved = (encoder(changed) - encoder(pixels))[0].abs()
    large_scale = moved[:, 8:]
    own_square = [index for index in range(9) if large_scale[index].max() > 1e-9]
    assert 1 * 3 + 2 in own_square
    assert 0 not in own_square  # the first patch lies wholly in another square, which is encoded on its own


def test_every_read_parameter_gets_a_gradient():
    encoder = _encoder("clip", (1, 2), layer=-2)
    features = encoder(torch.randn(1, 3, 24, 24, dtype=torch.float64))
    (features * torch.randn_like(features)).sum().backward()
    without = {name for name, parameter in encoder.named_parameters() if parameter.grad is None}
    assert without == set(encoder.unused_parameter_names())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": (2, 1)}, "rising scales"),
        ({"scales": (1, 3)}, "end at pool"),
        ({"base": "multi_scale"}, "plain encoder"),
        ({"base": "siglip"}, "set vision_encoder.config.model_type"),
        ({"base": "clap"}, "Did you mean 'clip'"),
    ],
)
def test_wrong_options_are_named(options, message):
    config = CLIPVisionConfig(**COMMON, image_size=24)
    with pytest.raises(ConfigError, match=message):
        MultiScaleEncoder(config, pool=2, **{"base": "clip", **options})
    with pytest.raises(ConfigError, match="not a multiple of the largest scale"):
        MultiScaleEncoder(CLIPVisionConfig(**COMMON, image_size=25), pool=2, base="clip")


def test_tiles_of_another_size_are_refused():
    with pytest.raises(ProcessingError, match="needs tiles of 24 px, got 12x12"):
        _encoder()(torch.zeros(1, 3, 12, 12, dtype=torch.float64))


def test_a_system_takes_it_in_one_line_and_round_trips(tmp_path):
    changes = {
        "vision_encoder.type": "multi_scale",
        "vision_encoder.config.model_type": "clip_vision_model",
        "vision_encoder.extra": "{base: clip, scales: [1, 2]}",
        "vision_encoder.pool": 2,
        "resolution.image_size": 672,
    }
    spec = load_preset("llava-1.5", [f"{key}={value}" for key, value in changes.items()])
    assert spec.num_visual_tokens() == 576
    system = build_system(spec, scale="tiny")
    assert system.processor.num_visual_tokens == 16
    assert system.model.model.connector.in_size == 2 * 32
    ids, pixels = prompt_ids(system), pixels_of(system, 0)
    logits = system.model(input_ids=ids, pixel_values=pixels).logits
    loaded = load_system(save_system(system, tmp_path / "saved"))
    assert torch.equal(loaded.model(input_ids=ids, pixel_values=pixels).logits, logits)
