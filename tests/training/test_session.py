"""What the stages of a run share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.systems.save import save_system
from geoprose.training.recipes import load_recipe
from geoprose.training.session import starting_system
from tests.fixtures.systems import tiny_system
from tests.fixtures.training import write_recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_may_start_from_a_saved_system(tmp_path: Path) -> None:
    saved = tiny_system("demo", dtype=torch.float32)
    with torch.no_grad():
        saved.model.lm_head.weight.fill_(0.25)
    folder = save_system(saved, tmp_path / "system")
    recipe = load_recipe(write_recipe(tmp_path, system=str(folder), scale="full"))
    assert torch.equal(starting_system(recipe).model.lm_head.weight, saved.model.lm_head.weight)
    with pytest.raises(ConfigError, match="saved system"):
        starting_system(load_recipe(write_recipe(tmp_path, system=str(folder))))
