"""Weights that a stage takes from elsewhere when it starts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ConfigError
from geoprose.core.files import sha256_file
from geoprose.training.checkpoints import checkpoint as checkpoints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

DONE = "done"
"""Folder of a finished stage, in the stage's folder."""

STAGE_WEIGHTS = "weights.safetensors"
SYSTEM_FOLDER = "system"
_CONFIG = "config.json"


def find_weights(folder: str) -> Path:
    """Return the folder that holds the weights: of a system, of a run's system, or of a finished stage.

    Raises:
        ConfigError: If it is none of them.
    """
    path = Path(folder)
    for inside in (path / DONE, path, path / SYSTEM_FOLDER):
        if (inside / STAGE_WEIGHTS).is_file() or (inside / _CONFIG).is_file():
            return inside
    raise ConfigError(
        f"init_from: {folder} is not a saved system, a finished run or a finished stage. Give a folder with "
        f"{_CONFIG}, or one that `geoprose train` has finished."
    )


def weights_hash(folder: str) -> str:
    """Return one hash of the weight files, so that a resumed run notices when they changed."""
    files = sorted(find_weights(folder).glob("*.safetensors"))
    hashes = {path.name: sha256_file(path) for path in files}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def start_from(model: Any, folder: str) -> int:
    """Copy the weights into the model; return how many tensors.

    Raises:
        ConfigError: If a name or shape does not fit; the first ones are named. Nothing is changed then.
    """
    path = find_weights(folder)
    own = model.state_dict()
    if (path / STAGE_WEIGHTS).is_file():
        given: Mapping[str, Tensor] = checkpoints.read_tensors(path / STAGE_WEIGHTS)
        missing: set[str] = set()
    else:
        from geoprose.systems.load import load_system

        given = load_system(path).model.state_dict()
        missing = set(own) - set(given)
    wrong = sorted(missing | (set(given) - set(own)))
    wrong += [name for name in given if name in own and given[name].shape != own[name].shape]
    if wrong:
        raise ConfigError(
            f"init_from: {len(wrong)} of the tensors of {path} do not fit this system, e.g. {', '.join(wrong[:3])}. "
            "Adapters must be merged first: start from the run's system."
        )
    with torch.no_grad():
        for name, tensor in given.items():
            own[name].copy_(tensor)
    return len(given)
