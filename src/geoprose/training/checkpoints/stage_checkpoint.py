"""What a checkpoint of a stage holds: weights, optimiser, generators, counts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.checkpoints.random_state import random_states, write_random_states
from geoprose.training.checkpoints.state import Meter, load_trained_tensors, trained_tensors
from geoprose.training.optimiser import optimiser_tensors
from geoprose.training.processes import distributed
from geoprose.training.processes.sharding import whole_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from geoprose.training.module import StageModule

STATE_FILE = "trainer_state.json"
_WEIGHTS, _OPTIMISER, _METER = "weights.safetensors", "optimiser.safetensors", "meter.json"


def write_checkpoint(final: Path, module: StageModule, optimiser: Any, meter: Meter, state: Any) -> None:
    """Write a checkpoint atomically; every process must call it, the first one writes."""
    weights = whole_tensors({**trained_tensors(module.model), **module.of_losses()})
    moments = whole_tensors(optimiser_tensors(optimiser))
    generators = random_states()
    if distributed.is_main():
        with checkpoints.atomic_folder(final) as folder:
            checkpoints.write_tensors(folder / _WEIGHTS, weights)
            checkpoints.write_tensors(folder / _OPTIMISER, moments)
            write_random_states(folder, generators)
            (folder / _METER).write_text(json.dumps(asdict(meter)))
            state.save_to_json(str(folder / STATE_FILE))
    distributed.barrier()


def read_weights(folder: Path, module: StageModule) -> Meter:
    """Put the weights of a checkpoint into a module that is not sharded yet; return what was counted."""
    load_trained_tensors(module.model, checkpoints.read_tensors(folder / _WEIGHTS), module.of_losses())
    return Meter(**json.loads((folder / _METER).read_text()))


def read_optimiser(folder: Path) -> tuple[dict[str, Tensor], int]:
    """Return the optimiser's state and the number of steps it made."""
    steps = int(json.loads((folder / STATE_FILE).read_text())["global_step"])
    return checkpoints.read_tensors(folder / _OPTIMISER), steps
