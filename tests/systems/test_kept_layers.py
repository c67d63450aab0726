"""A student of fewer layers starts from the teacher's own layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from geoprose.core.errors import ConfigError, ModelError
from geoprose.systems.build import build_system
from geoprose.systems.kept_layers import keep_layers
from geoprose.systems.presets import load_preset
from geoprose.systems.pretrained import load_language_model
from geoprose.systems.spec import LanguageModelSpec
from tests.fixtures.systems import tiny_system

if TYPE_CHECKING:
    from pathlib import Path

TEXT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 6,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 40,
}


def llama(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**TEXT, attn_implementation="eager")).eval()


def test_the_kept_layers_are_the_teachers_own_in_order() -> None:
    whole, half = llama(), llama()
    keep_layers(half, (0, 2, 4))
    assert half.config.num_hidden_layers == 3 == len(half.model.layers)
    for place, layer in enumerate((0, 2, 4)):
        for name, tensor in half.model.layers[place].state_dict().items():
            assert torch.equal(tensor, whole.model.layers[layer].state_dict()[name])
    # Running the chosen layers of the whole model by hand gives the same; another choice does not.
    ids = torch.arange(7)[None]
    expected = by_hand(whole, ids, (0, 2, 4))
    assert torch.equal(half(ids, use_cache=False).logits, expected)
    assert not torch.allclose(expected, by_hand(whole, ids, (0, 2, 5)), atol=1e-4)


def by_hand(model: LlamaForCausalLM, ids: torch.Tensor, layers: tuple[int, ...]) -> torch.Tensor:
    hidden = model.model.embed_tokens(ids)
    positions = torch.arange(ids.shape[1])[None]
    rotary = model.model.rotary_emb(hidden, position_ids=positions)
    size = ids.shape[1]
    mask = torch.full((1, 1, size, size), torch.finfo(hidden.dtype).min).triu(1)
    for layer in layers:
        hidden = model.model.layers[layer](
            hidden, attention_mask=mask, position_ids=positions, position_embeddings=rotary
        )
        hidden = hidden if isinstance(hidden, torch.Tensor) else hidden[0]
    return model.lm_head(model.model.norm(hidden))


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="layer 6; there are 6"):
        keep_layers(llama(), (0, 6))


def test_a_model_without_one_list_of_layers_is_refused() -> None:
    model = llama()
    model.model.more = torch.nn.ModuleList(torch.nn.Identity() for _ in range(6))
    with pytest.raises(ModelError, match="2 lists of 6 layers"):
        keep_layers(model, (0,))


def test_a_system_starts_from_the_kept_layers(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path)
    system = tiny_system(dtype=torch.float32)
    values = {"type": "llama", "config": {**TEXT, "num_hidden_layers": 2}, "keep_layers": [1, 4]}
    spec = LanguageModelSpec.model_validate(values)
    config = system.model.config
    config.text_config = LlamaConfig(**{**TEXT, "num_hidden_layers": 2})
    model = type(system.model)(config)
    load_language_model(model, spec, tmp_path)
    for place, layer in enumerate((1, 4)):
        expected = llama().model.layers[layer].state_dict()
        found = model.model.language_model.layers[place].state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


def test_the_number_of_kept_layers_must_be_that_of_the_config(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path)
    values = {"type": "llama", "config": {**TEXT, "num_hidden_layers": 3}, "keep_layers": [1, 4]}
    with pytest.raises(ModelError, match="num_hidden_layers is 2, the preset says 3"):
        load_language_model(tiny_system().model, LanguageModelSpec.model_validate(values), tmp_path)


def test_the_student_preset_keeps_every_second_layer() -> None:
    teacher, student = load_preset("demo"), load_preset("demo-half")
    assert student.language_model.keep_layers == tuple(range(0, 30, 2))
    assert student.language_model.config == {**teacher.language_model.config, "num_hidden_layers": 15}
    assert student.connector == teacher.connector
    assert build_system("demo-half", scale="tiny").spec.language_model.keep_layers == ()
