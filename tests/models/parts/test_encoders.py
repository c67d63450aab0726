import pytest
import torch
from transformers import CLIPVisionConfig, Dinov2Config, SiglipVisionConfig

from geoprose.core.errors import ConfigError, ModelError
from geoprose.models.parts.encoders.hf import ClipEncoder, Dinov2Encoder, SiglipEncoder
from geoprose.models.parts.encoders.position_table import resize_position_table
from tests.fixtures.systems import randomise

COMMON = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28, "patch_size": 7}
CASES = {
    "clip": (ClipEncoder, CLIPVisionConfig(**COMMON, intermediate_size=32), 1),
    "siglip": (SiglipEncoder, SiglipVisionConfig(**COMMON, intermediate_size=32), 0),
    "dinov2": (Dinov2Encoder, Dinov2Config(**COMMON, mlp_ratio=2), 1),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.mark.parametrize("layer", [None, -2, 1])
def test_features_are_the_chosen_layer_without_prefix_tokens(case, layer):
    encoder_class, config, num_prefix = case
    encoder = encoder_class(config, feature_layer=layer).eval()
    randomise(encoder)
    pixels = torch.randn(2, 3, 28, 28)
    outputs = encoder.tower(pixels, output_hidden_states=True)
    expected = outputs.last_hidden_state if layer is None else outputs.hidden_states[layer]
    assert encoder.num_patches() == 16
    assert torch.equal(encoder(pixels), expected[:, num_prefix:])


@pytest.mark.parametrize("layer", [None, -2, 0])
def test_frozen_parameters_are_exactly_those_without_gradient(case, layer):
    encoder_class, config, _ = case
    encoder = encoder_class(config, feature_layer=layer)
    randomise(encoder)
    frozen = {name for name, parameter in encoder.named_parameters() if not parameter.requires_grad}
    assert frozen == set(encoder.unused_parameter_names())
    encoder.requires_grad_(True)
    # A norm at the end would make the plain sum constant, so weigh the features.
    features = encoder(torch.randn(1, 3, 28, 28))
    (features * torch.randn_like(features)).sum().backward()
    assert {name for name, parameter in encoder.named_parameters() if parameter.grad is None} == frozen


def test_several_layers_are_concatenated_in_the_order_asked(case):
    encoder_class, config, num_prefix = case
    encoder = encoder_class(config, feature_layer=[2, 1]).eval()
    randomise(encoder)
    pixels = torch.randn(2, 3, 28, 28)
    hidden = encoder.tower(pixels, output_hidden_states=True).hidden_states
    assert encoder.hidden_size == 32
    assert torch.equal(encoder(pixels), torch.cat([hidden[2], hidden[1]], -1)[:, num_prefix:])


def test_the_final_norm_is_applied_to_each_chosen_layer(case):
    encoder_class, config, num_prefix = case
    encoder = encoder_class(config, feature_layer=[1, 2], final_norm=True).eval()
    randomise(encoder)
    pixels = torch.randn(1, 3, 28, 28)
    hidden = encoder.tower(pixels, output_hidden_states=True).hidden_states
    norm = encoder.tower.layernorm if encoder_class is Dinov2Encoder else encoder.tower.post_layernorm
    assert torch.equal(encoder(pixels), torch.cat([norm(hidden[1]), norm(hidden[2])], -1)[:, num_prefix:])
    (encoder(pixels) * torch.randn(1, 16, 32)).sum().backward()
    assert norm.weight.grad is not None


@pytest.mark.parametrize("final_norm", [False, True])
@pytest.mark.parametrize("layers", [[1, 2], [-2], 1])
def test_truncation_leaves_out_blocks_and_changes_no_feature(case, layers, final_norm):
    encoder_class, config, _ = case
    whole = encoder_class(config, feature_layer=layers, final_norm=final_norm).eval()
    randomise(whole)
    short = encoder_class(config, feature_layer=layers, final_norm=final_norm, truncate=True).eval()
    state = {name: rows for name, rows in whole.tower.state_dict().items() if not short.is_dropped(name)}
    assert len(state) < len(whole.tower.state_dict())
    assert not any(whole.is_dropped(name) for name in whole.tower.state_dict())
    short.tower.load_state_dict(state, strict=True)
    pixels = torch.randn(2, 3, 28, 28)
    assert torch.equal(short(pixels), whole(pixels))


def test_pooling_averages_neighbours(case):
    encoder_class, config, _ = case
    plain, pooled = encoder_class(config).eval(), encoder_class(config, pool=2).eval()
    pooled.load_state_dict(plain.state_dict())
    pixels = torch.randn(1, 3, 28, 28)
    grid = plain(pixels).reshape(1, 4, 4, 16)
    expected = grid.reshape(1, 2, 2, 2, 2, 16).mean((2, 4)).reshape(1, 4, 16)
    assert pooled.num_patches() == 4
    torch.testing.assert_close(pooled(pixels), expected)


def test_the_position_table_is_where_the_part_says(case):
    encoder_class, config, num_prefix = case
    encoder = encoder_class(config)
    table = encoder.state_dict()[encoder.position_table_key()]
    assert table.shape[-2] == encoder.num_prefix_positions() + 16
    assert encoder.num_prefix_positions() == num_prefix


def test_a_layer_that_does_not_exist_is_refused(case):
    encoder_class, config, _ = case
    with pytest.raises(ConfigError, match="does not exist in a vision encoder of 3 layers"):
        encoder_class(config, feature_layer=4)


def test_baked_table_equals_the_interpolation_of_transformers():
    small = Dinov2Encoder(Dinov2Config(**COMMON, mlp_ratio=2)).eval()
    large = Dinov2Encoder(Dinov2Config(**{**COMMON, "image_size": 63}, mlp_ratio=2)).eval()
    state = large.state_dict()
    key = large.position_table_key()
    state[key] = resize_position_table(state[key], 1, 4)
    small.load_state_dict(state)
    pixels = torch.randn(1, 3, 28, 28)
    # The large tower interpolates its 9 x 9 table to 4 x 4 on the fly.
    assert torch.equal(small(pixels), large.tower(pixels).last_hidden_state[:, 1:])


def test_a_table_that_is_no_square_is_refused():
    with pytest.raises(ModelError, match="not square"):
        resize_position_table(torch.zeros(8, 4), 1, 3)
    table = torch.zeros(10, 4)
    assert resize_position_table(table, 1, 3) is table
