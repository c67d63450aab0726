"""Towers by hand: pooling, masks, feature maps."""

import pytest
import torch
from transformers import BertConfig, CLIPVisionConfig, SiglipVisionConfig, ViTConfig

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.dual.towers import BertTower, ClipVisionTower, SiglipVisionTower, VitTower
from geoprose.systems.build import build_system

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def test_mean_pooling_leaves_the_class_token_and_padding_out():
    tower = VitTower(ViTConfig(**SIZES, image_size=8, patch_size=4), pooling="mean").eval()
    pixels = torch.rand(2, 3, 8, 8)
    hidden = tower.model(pixels).last_hidden_state
    torch.testing.assert_close(tower(pixels), hidden[:, 1:].mean(1))
    text = BertTower(BertConfig(**SIZES, vocab_size=20), pooling="mean").eval()
    ids, mask = torch.tensor([[1, 2, 3, 0]]), torch.tensor([[1, 1, 1, 0]])
    torch.testing.assert_close(text(ids, mask), text(ids[:, :3]))


def test_maps_are_the_hidden_states_in_raster_order():
    tower = ClipVisionTower(CLIPVisionConfig(**SIZES, image_size=12, patch_size=4)).eval()
    pixels = torch.rand(1, 3, 12, 12)
    maps, pooled = tower.maps(pixels, [1, -1])
    hidden = tower.model(pixels, output_hidden_states=True).hidden_states
    assert [tuple(item.shape) for item in maps] == [(1, 16, 3, 3)] * 2
    torch.testing.assert_close(maps[0][0, :, 1, 2], hidden[1][0, 1 + 5])
    torch.testing.assert_close(pooled, tower(pixels))


def test_a_tower_without_class_token_has_no_first():
    with pytest.raises(ConfigError, match="no class token"):
        SiglipVisionTower(SiglipVisionConfig(**SIZES, image_size=8, patch_size=4), pooling="first")


def test_bad_input_is_named():
    model = build_system("vit-bert", scale="tiny").model
    with pytest.raises(ProcessingError, match="needs pixel_values, input_ids or both"):
        model()
    with pytest.raises(ProcessingError, match="one text per picture"):
        model(pixel_values=torch.rand(2, 3, 64, 64), input_ids=torch.ones(1, 4, dtype=torch.long), return_loss=True)


def test_the_scale_is_cut_off():
    model = build_system("clip-vit-l-14", scale="tiny").model
    vector = torch.nn.functional.normalize(torch.ones(1, model.embedding_width), dim=-1)
    with torch.no_grad():
        model.logit_scale.fill_(9.0)
    assert model.similarity(vector, vector).item() == pytest.approx(100.0, rel=1e-5)
