"""The random generators of Python, numpy and torch as safetensors and JSON."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import numpy as np
import torch

from geoprose.training.checkpoints.checkpoint import read_tensors, write_tensors
from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

_TORCH, _OTHERS = "random.safetensors", "random.json"


def random_states() -> dict[str, Tensor]:
    """Return the states of torch's generators in all processes, by device and rank; every process must call it."""
    states = {"cpu": torch.random.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.random.get_rng_state()
    return {
        f"{kind}.{rank}": state
        for kind, own in states.items()
        for rank, state in enumerate(distributed.gather_plain(own))
    }


def save_random_state(folder: Path) -> None:
    """Write the state of all generators of a single process into ``folder``."""
    write_random_states(folder, random_states())


def write_random_states(folder: Path, states: dict[str, Tensor]) -> None:
    """Write what ``random_states`` returned, and the generators of Python and numpy of this process."""
    write_tensors(folder / _TORCH, states)
    version, words, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    assert isinstance(numpy_state, dict)
    inner = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in numpy_state["state"].items()}
    content = {"python": [version, list(words), gauss], "numpy": {**numpy_state, "state": inner}}
    (folder / _OTHERS).write_text(json.dumps(content))


def load_random_state(folder: Path) -> None:
    """Set all generators of this process to what ``write_random_states`` wrote."""
    states = read_tensors(folder / _TORCH)
    rank = distributed.rank()
    torch.random.set_rng_state(states[f"cpu.{rank}"])
    if f"cuda.{rank}" in states and torch.cuda.is_available():
        torch.cuda.random.set_rng_state(states[f"cuda.{rank}"])
    content = json.loads((folder / _OTHERS).read_text())
    version, words, gauss = content["python"]
    random.setstate((version, tuple(words), gauss))
    numpy_state = content["numpy"]
    numpy_state["state"]["key"] = np.array(numpy_state["state"]["key"], dtype=np.uint32)
    np.random.set_state(numpy_state)
