"""Number formats of a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from geoprose.training import precision
from geoprose.training.recipes import load_recipe
from tests.fixtures.training import stage, write_recipe

if TYPE_CHECKING:
    from pathlib import Path


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        parts = {name: nn.Linear(2, 2, bias=False) for name in ("vision_encoder", "connector", "language_model")}
        self.model = nn.ModuleDict(parts)


def _dtypes(model: _Model) -> dict[str, torch.dtype]:
    return {name.split(".")[1]: parameter.dtype for name, parameter in model.named_parameters()}


def test_what_trains_stays_in_float32() -> None:
    model = _Model()
    model.requires_grad_(False)
    model.model["connector"].requires_grad_(True)
    precision.apply_precision(model, "bf16")
    assert _dtypes(model) == {
        "vision_encoder": torch.float32,  # it does not run: its cached features stand for it
        "connector": torch.float32,
        "language_model": torch.bfloat16,
    }
    precision.set_dtype(model, "bf16")
    assert set(_dtypes(model).values()) == {torch.bfloat16}


def test_an_encoder_that_trains_in_part_is_cast_in_the_rest() -> None:
    model = _Model()
    model.model["vision_encoder"].extra = nn.Linear(2, 2, bias=False)
    model.requires_grad_(False)
    model.model["vision_encoder"].extra.requires_grad_(True)
    precision.apply_precision(model, "bf16")
    assert model.model["vision_encoder"].weight.dtype == torch.bfloat16
    assert model.model["vision_encoder"].extra.weight.dtype == torch.float32


@pytest.mark.parametrize(("fast", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool, chosen: str) -> None:
    monkeypatch.setattr(precision, "has_fast_bf16", lambda: fast)
    stages = [stage(precision="auto"), stage(name="b", precision="fp32")]
    recipe = precision.resolve_precision(
        load_recipe(write_recipe(tmp_path, stages, features={"encoder_precision": "auto"}))
    )
    assert [s.precision for s in recipe.stages] == [chosen, "fp32"]
    assert recipe.features.encoder_precision == chosen
    assert isinstance(precision.has_fast_bf16(), bool)
