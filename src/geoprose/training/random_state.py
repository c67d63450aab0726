"""The random generators of Python, numpy and torch as safetensors and JSON."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import numpy as np
import torch

from geoprose.training.checkpoint import read_tensors, write_tensors

if TYPE_CHECKING:
    from pathlib import Path

_TORCH, _OTHERS = "random.safetensors", "random.json"


def save_random_state(folder: Path) -> None:
    """Write the state of all generators into ``folder``."""
    states = {"cpu": torch.random.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.random.get_rng_state()
    write_tensors(folder / _TORCH, states)
    version, words, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)
    inner = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in numpy_state["state"].items()}
    content = {"python": [version, list(words), gauss], "numpy": {**numpy_state, "state": inner}}
    (folder / _OTHERS).write_text(json.dumps(content))


def load_random_state(folder: Path) -> None:
    """Set all generators to what ``save_random_state`` wrote."""
    states = read_tensors(folder / _TORCH)
    torch.random.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.random.set_rng_state(states["cuda"])
    content = json.loads((folder / _OTHERS).read_text())
    version, words, gauss = content["python"]
    random.setstate((version, tuple(words), gauss))
    numpy_state = content["numpy"]
    numpy_state["state"]["key"] = np.array(numpy_state["state"]["key"], dtype=np.uint32)
    np.random.set_state(numpy_state)
