"""The two towers of EarthGPT-style perception."""

import pytest
import torch
from transformers import ConvNextConfig, ConvNextModel, Dinov2Config, Dinov2Model

from geoprose.core.errors import ConfigError
from geoprose.models.parts.encoders.vit_convnext import VitConvnextEncoder
from geoprose.systems.build import build_meta_model
from tests.fixtures.systems import pixels_of, prompt_ids, randomise, tiny_system

_DETAIL = {"hidden_sizes": [4, 6, 8, 10], "depths": [1, 1, 1, 1]}


def _encoder(**options) -> VitConvnextEncoder:
    config = Dinov2Config(
        hidden_size=8, num_hidden_layers=3, num_attention_heads=2, mlp_ratio=2, patch_size=14, image_size=56
    )
    encoder = VitConvnextEncoder(config, **{"feature_layer": [1, 3], "convnext": _DETAIL, **options}).double().eval()
    randomise(encoder)
    return encoder


@torch.no_grad()
def test_features_by_hand():
    """Maps of 14, 7, 3 and 1 cells a side meet the ViT's 4: finer ones averaged, coarser ones stretched."""
    encoder = _encoder()
    pixels = torch.randn(2, 3, 56, 56, dtype=torch.float64)
    features = encoder(pixels)
    assert features.shape == (2, 16, encoder.hidden_size) == (2, 16, 2 * 8 + 4 + 6 + 8 + 10)
    states = encoder.tower(pixels, output_hidden_states=True).hidden_states
    assert torch.equal(features[..., :16], torch.cat([states[1][:, 1:], states[3][:, 1:]], -1))
    maps = encoder.detail_tower(pixels, output_hidden_states=True).hidden_states
    assert [map_.shape[-1] for map_ in maps[1:]] == [14, 7, 3, 1]
    first = features[..., 16:20].transpose(1, 2).reshape(2, 4, 4, 4)
    assert torch.allclose(first[..., 0, 0], maps[1][..., :4, :4].mean((-2, -1)))
    assert torch.allclose(features[..., -10:], maps[4].flatten(2).transpose(1, 2).expand(-1, 16, -1))
    assert torch.equal(_same(encoder, stages=[2])(pixels)[..., 16:], features[..., 20:26])


def _same(encoder: VitConvnextEncoder, **options) -> VitConvnextEncoder:
    other = _encoder(**options)
    other.load_state_dict(encoder.state_dict())
    return other


def test_gradient_reaches_what_is_not_frozen():
    for stages in (None, [1, 2]):
        encoder = _encoder(stages=stages)
        encoder(torch.randn(1, 3, 56, 56, dtype=torch.float64)).square().sum().backward()
        assert [n for n, p in encoder.named_parameters() if p.requires_grad == (p.grad is None)] == []


def test_stages_that_do_not_exist_are_refused():
    with pytest.raises(ConfigError, match="1 to 4"):
        _encoder(stages=[5])


@torch.no_grad()
def test_preset_sees_with_both_towers():
    system = tiny_system("earthgpt")
    ids, pixels = prompt_ids(system), pixels_of(system, 1)
    before = system.model(input_ids=ids, pixel_values=pixels).logits
    for tower in ("tower", "detail_tower"):
        randomise(system.model.model.vision_encoder.get_submodule(tower), seed=3)
        after = system.model(input_ids=ids, pixel_values=pixels).logits
        assert not torch.allclose(before, after)
        before = after


def test_published_towers():
    """DINOv2 ViT-L/14 and ConvNeXt-L as transformers counts them; 1024 tokens for a tile of 448 px."""
    model = build_meta_model("earthgpt").model
    with torch.device("meta"):
        vit = Dinov2Model(Dinov2Config(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, image_size=448))
        detail = ConvNextModel(ConvNextConfig(hidden_sizes=[192, 384, 768, 1536], depths=[3, 3, 27, 3]))
    count = sum(p.numel() for p in model.vision_encoder.parameters())
    assert count == sum(p.numel() for part in (vit, detail) for p in part.parameters())
    assert model.num_visual_tokens == 32**2
    assert model.connector.in_size == 3 * 1024 + 384 + 768 + 1536
