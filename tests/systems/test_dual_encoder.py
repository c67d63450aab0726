"""Weights of one tower: strictly by name, the positions of a vision tower brought to its grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from geoprose.core.errors import ModelError
from geoprose.models.dual.towers import Dinov2Tower
from geoprose.models.parts.encoders.position_table import resize_position_table
from geoprose.systems.build import build_system
from geoprose.systems.dual_encoder import load_tower

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_ratio": 2, "patch_size": 14}


def _saved(folder: Path, **changes: int) -> Dinov2Model:
    model = Dinov2Model(Dinov2Config(**{**SIZES, "image_size": 56, **changes}))
    torch.nn.init.normal_(model.embeddings.position_embeddings)
    model.save_pretrained(folder)
    return model


def test_positions_are_brought_to_the_towers_grid(tmp_path: Path) -> None:
    model = _saved(tmp_path)
    tower = Dinov2Tower(Dinov2Config(**SIZES, image_size=28))
    load_tower(tower, tmp_path)
    table = tower.model.embeddings.position_embeddings
    assert table.shape == (1, 1 + 4, 16)
    assert table.equal(resize_position_table(model.embeddings.position_embeddings, 1, 2))
    assert table[:, 0].equal(model.embeddings.position_embeddings[:, 0]), "the class token keeps its own"
    assert tower.model.layernorm.weight.equal(model.layernorm.weight)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    _saved(tmp_path, hidden_size=32)
    with pytest.raises(ModelError, match="do not fit"):
        load_tower(Dinov2Tower(Dinov2Config(**SIZES, image_size=28)), tmp_path)


def test_a_tower_is_shrunk_by_the_words_of_its_own_config() -> None:
    tower = build_system("_alignment", scale="tiny").model.vision
    assert tower.model.config.num_hidden_layers == 2
    assert not hasattr(tower.model.config, "intermediate_size"), "DINOv2 counts by mlp_ratio"
