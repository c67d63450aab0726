"""The dual encoder before training: words from the captions, pretrained vision tower, the rest drawn by the seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from transformers import Dinov2Config, Dinov2Model

from geoprose.core.errors import ResourceError
from geoprose.experiments.reproduce.dual_start import write_start
from geoprose.experiments.reproduce.text_words import vocabulary_of, write_words
from geoprose.systems.load import load_system

if TYPE_CHECKING:
    from pathlib import Path

CAPTIONS = ["mostly water and some ice", "mostly forest, water in the north-west"]
PRESET = """
extends: _alignment
name: small-start
resolution: {{image_size: 28}}
vision_encoder:
  config: {{hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, mlp_ratio: 2}}
  weights: {{asset: null, path: {weights}}}
text_encoder: {{config: {{hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2}}}}
"""


def test_words_are_those_of_the_captions_and_are_kept(tmp_path: Path) -> None:
    write_words(tmp_path, CAPTIONS, 100)
    size = vocabulary_of(tmp_path)
    write_words(tmp_path, ["entirely other words"], 5000)
    assert vocabulary_of(tmp_path) == size
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == size <= 100
    ids = tokenizer("Mostly WATER")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "mostly", "water", "[SEP]"]
    assert tokenizer("zebra")["input_ids"].count(tokenizer.unk_token_id) >= 1


def test_without_words_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="--only prepare"):
        write_start(tmp_path / "start", "_alignment", tmp_path / "words", 0, "small")
    assert not (tmp_path / "start").exists()


def test_the_seed_draws_all_but_the_pretrained_tower(tmp_path: Path) -> None:
    vision = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=2, patch_size=14, image_size=56
    )
    pretrained = Dinov2Model(vision)
    pretrained.save_pretrained(tmp_path / "vit")
    preset = tmp_path / "small-start.yaml"
    preset.write_text(PRESET.format(weights=tmp_path / "vit"))
    write_words(tmp_path / "words", CAPTIONS, 100)
    states = []
    for seed in (0, 1):
        write_start(tmp_path / f"start-{seed}", str(preset), tmp_path / "words", seed, "small")
        states.append(load_system(tmp_path / f"start-{seed}").model.state_dict())
    first, second = states
    names = [name for name in first if name.startswith("vision.model.encoder")]
    assert names
    assert all(first[name].equal(second[name]) for name in names)
    assert first["vision.model.layernorm.weight"].equal(pretrained.layernorm.weight)
    assert not first["text_projection.weight"].equal(second["text_projection.weight"])
    assert not first["text.model.embeddings.word_embeddings.weight"].equal(
        second["text.model.embeddings.word_embeddings.weight"]
    )
