"""The model's pass over a micro-batch that losses share."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geoprose.training.forward import Forward, additive_mask, model_inputs


def test_additive_mask_blocks_what_is_false() -> None:
    mask = torch.tensor([[[[True, False]]]])
    added = additive_mask(mask, torch.float32)
    assert added.tolist() == [[[[0.0, torch.finfo(torch.float32).min]]]]
    padding = torch.ones(1, 2)
    assert additive_mask(padding, torch.float32) is padding


class _Backbone:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, **inputs: Any) -> Any:
        self.calls += 1
        return type("Output", (), {"last_hidden_state": inputs["input_ids"] * 2.0, "hidden_states": ("a",)})

    positions = type("Positions", (), {"is_owner": False})


class _Model:
    def __init__(self) -> None:
        self.model = _Backbone()
        self.config = type("Config", (), {"is_encoder_decoder": False})

    def get_input_embeddings(self) -> Any:
        return type("Table", (), {"weight": torch.zeros(1)})


def test_padding_behind_a_causal_decoder_needs_no_mask() -> None:
    batch = {"input_ids": torch.ones(2, 3, dtype=torch.long), "attention_mask": torch.tensor([[1, 1, 0], [1, 1, 1]])}
    model = _Model()
    assert torch.equal(model_inputs(model, batch)["attention_mask"], batch["attention_mask"])
    marked = model_inputs(model, {**batch, "padding_is_behind": torch.tensor(True)})
    assert marked["attention_mask"].all(), "ones: transformers leaves such a mask out"


def test_two_losses_share_one_pass() -> None:
    model = _Model()
    batch = {"input_ids": torch.ones(1, 2), "attention_mask": torch.ones(1, 2), "next_ids": torch.ones(1, 2)}
    forward = Forward(model, batch)
    assert torch.equal(forward.hidden, forward.hidden)
    assert model.model.calls == 1
    with pytest.raises(ValueError, match="needs_layers"):
        _ = forward.layers
