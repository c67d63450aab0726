"""InternViT in both published styles, and InternVL's connector order and packer."""

import pytest
import torch
from transformers import InternVLVisionConfig
from transformers.models.internvl.modeling_internvl import InternVLModel

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.visual import VisualLayout
from geoprose.models.parts.connectors.unshuffle import unshuffle
from geoprose.models.parts.encoders.internvit import InternvitEncoder
from geoprose.models.parts.packers.internvl import InternvlPacker

STYLES = {
    "300M": {"norm_type": "layer_norm", "attention_bias": True, "use_qk_norm": False},
    "6B": {"norm_type": "rms_norm", "attention_bias": False, "use_qk_norm": True},
}


def _config(style, **changes):
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return InternVLVisionConfig(**{"image_size": 56, "patch_size": 14, **sizes, **STYLES[style], **changes})


def _encoder(style, feature_layer=None):
    torch.manual_seed(0)
    encoder = InternvitEncoder(_config(style), feature_layer=feature_layer).double()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(std=0.3)
    return encoder


@pytest.mark.parametrize("style", list(STYLES))
@pytest.mark.parametrize("feature_layer", [None, -2])
def test_features_are_the_patches_of_the_layer(style, feature_layer):
    encoder = _encoder(style, feature_layer)
    pixels = torch.randn(2, 3, 56, 56, dtype=torch.float64)
    states = encoder.tower(pixels, output_hidden_states=True).hidden_states
    assert torch.equal(encoder(pixels), states[-1 if feature_layer is None else feature_layer][:, 1:])
    assert (encoder.num_patches(), encoder.hidden_size, encoder.patch_size, encoder.image_size) == (16, 8, 14, 56)
    assert encoder.state_dict()[encoder.position_table_key()].shape == (1, 17, 8)


@pytest.mark.parametrize("style", list(STYLES))
@pytest.mark.parametrize("feature_layer", [None, -2])
def test_gradients_reach_every_trainable_parameter(style, feature_layer):
    encoder = _encoder(style, feature_layer)
    encoder.freeze_unused()
    encoder(torch.randn(2, 3, 56, 56, dtype=torch.float64)).square().sum().backward()
    without = [name for name, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert any(p.requires_grad for p in encoder.parameters())


def test_styles_differ_as_published():
    names = {style: set(dict(_encoder(style).tower.encoder.layer[0].named_parameters())) for style in STYLES}
    assert {"attention.q_proj.bias", "layernorm_before.bias"} <= names["300M"] - names["6B"]
    assert {"attention.q_norm.weight", "attention.k_norm.weight"} == names["6B"] - names["300M"]


def test_unshuffle_equals_pixel_shuffle_of_transformers():
    features = torch.randn(2, 16, 3)
    expected = InternVLModel.pixel_shuffle(None, features.reshape(2, 4, 4, 3), 0.5).reshape(2, 4, 12)
    assert torch.equal(unshuffle(features, 2, "dyx_c"), expected)


def test_a_tile_that_is_not_square_is_refused():
    with pytest.raises(ConfigError, match="square"):
        InternvitEncoder(_config("300M", image_size=[56, 28]))


def test_packer_gives_what_its_arrangement_counts():
    layouts = [VisualLayout(), VisualLayout(rows=2, columns=3, thumbnail=1), VisualLayout(rows=1, columns=2)]
    tokens = torch.arange(10 * 4 * 2).float().reshape(10, 4, 2)
    packed = InternvlPacker(2)(tokens, layouts)
    arrangement = ARRANGEMENTS.get("internvl")()
    assert [len(run) for run in packed] == [num_tokens(arrangement, layout, 4) for layout in layouts]
    assert torch.equal(torch.cat(list(packed)), tokens.flatten(0, 1))


def test_a_single_tile_with_a_thumbnail_is_refused():
    with pytest.raises(ProcessingError, match="thumbnail"):
        InternvlPacker(2)(torch.zeros(2, 4, 2), [VisualLayout(thumbnail=1)])
