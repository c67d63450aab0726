import torch
from transformers import ViTConfig

from geoprose.models.parts.encoders.vit import VitEncoder

PIXELS = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def encoder(**options):
    config = ViTConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=16
    )
    torch.manual_seed(0)
    return VitEncoder(config, **options).eval()


@torch.no_grad()
def test_features_are_those_of_the_tower_without_the_class_token():
    ours = encoder()
    assert torch.equal(ours(PIXELS), ours.tower(PIXELS).last_hidden_state[:, 1:])
    assert ours(PIXELS).shape == (2, ours.num_patches(), 16) == (2, 16, 16)


@torch.no_grad()
def test_the_stem_is_patches_plus_positions():
    whole, stem = encoder(feature_layer=0), encoder(feature_layer=0, truncate=True)
    embedded = whole.tower.embeddings(PIXELS)[:, 1:]
    assert torch.equal(whole(PIXELS), embedded)
    assert torch.equal(stem(PIXELS), embedded)
    assert len(stem.tower.layers) == 0
    pooled = encoder(feature_layer=0, truncate=True, pool=2)
    assert pooled(PIXELS).shape == (2, 4, 16)


def test_what_the_stem_never_reads_is_frozen():
    stem = encoder(feature_layer=0, truncate=True)
    stem(PIXELS).square().sum().backward()
    without = {name for name, weight in stem.named_parameters() if weight.grad is None}
    assert without == set(stem.unused_parameter_names())
    assert without == {"tower.embeddings.cls_token", "tower.layernorm.weight", "tower.layernorm.bias"}


def test_the_pooler_of_a_checkpoint_is_dropped():
    ours = encoder(feature_layer=0, truncate=True)
    assert ours.is_dropped("pooler.dense.weight")
    assert ours.is_dropped("layers.0.mlp.fc1.weight")
    assert not ours.is_dropped("embeddings.cls_token")
