"""The state of the random generators survives the disk."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import torch

from geoprose.training.checkpoints.random_state import load_random_state, save_random_state

if TYPE_CHECKING:
    from pathlib import Path


def _draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.standard_normal()), float(torch.rand(()))


def test_draws_after_loading_are_the_draws_after_saving(tmp_path: Path) -> None:
    _draw()
    save_random_state(tmp_path)
    expected = [_draw() for _ in range(3)]
    load_random_state(tmp_path)
    assert [_draw() for _ in range(3)] == expected
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
