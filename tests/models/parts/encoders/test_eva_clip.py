import pytest
import torch
from transformers import Blip2VisionConfig

from geoprose.core.errors import ConfigError
from geoprose.models.parts.encoders.eva_clip import EvaClipEncoder

PIXELS = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))


def encoder(**options):
    config = Blip2VisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=14,
        initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(0)
    return EvaClipEncoder(config, **options).eval()


def test_features_are_the_normalised_last_layer_with_the_class_token():
    ours = encoder()
    with torch.no_grad():
        assert torch.equal(ours(PIXELS), ours.tower(PIXELS).last_hidden_state)
    assert ours(PIXELS).shape == (2, ours.num_patches(), 16) == (2, 5, 16)


def test_a_chosen_layer_is_not_normalised():
    ours = encoder(feature_layer=-2)
    with torch.no_grad():
        assert torch.equal(ours(PIXELS), ours.tower(PIXELS, output_hidden_states=True).hidden_states[-2])
    assert {name.split(".")[1] for name in ours.unused_parameter_names()} == {"post_layernorm", "encoder"}


def test_the_norm_has_its_own_epsilon():
    assert encoder(norm_eps=1e-5).tower.post_layernorm.eps == 1e-5
    assert encoder().tower.post_layernorm.eps == 1e-6


def test_gradient_reaches_every_weight():
    ours = encoder()
    ours(PIXELS).square().sum().backward()
    assert [name for name, weight in ours.named_parameters() if weight.grad is None] == []


def test_pooling_and_unknown_layers_are_refused():
    with pytest.raises(ConfigError, match="cannot be pooled"):
        encoder(pool=2)
    with pytest.raises(ConfigError, match="does not exist"):
        encoder(feature_layer=9)
