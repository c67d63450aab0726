"""The weight files of a released checkpoint: safetensors or restricted pickles, in shards or one file.

Pickled files are read with torch's restricted unpickler (``weights_only=True``), which builds tensors and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from geoprose.core.errors import ModelError, ResourceError
from geoprose.systems.load import read_json

if TYPE_CHECKING:
    from torch import Tensor

_FORMATS = (("*.safetensors", "model.safetensors.index.json"), ("pytorch_model*.bin", "pytorch_model.bin.index.json"))
"""Files and their index, the safer first."""


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return every weight of a released checkpoint by its published name.

    Raises:
        ResourceError: If there are no weight files, or one that the index names is missing.
        ModelError: If a file is corrupt or holds more than tensors, or the index names one outside the folder.
    """
    state: dict[str, Tensor] = {}
    for path in _files(folder):
        state |= _read_safe(path) if path.suffix == ".safetensors" else read_pickled(path)
    return state


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a pickled file; nothing else in it is built.

    Raises:
        ModelError: If it is no plain file of named tensors.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the restricted unpickler raises several kinds; each means that nothing is built
        raise ModelError(f"{path} is no plain file of tensors, so it is not opened: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise ModelError(f"{path} holds something else than named tensors.")
    return values


def _files(folder: Path) -> list[Path]:
    for pattern, index_name in _FORMATS:
        found, index = sorted(folder.glob(pattern)), folder / index_name
        if index.is_file():
            _check_index(index)
        if found:
            return found
    raise ResourceError(f"{folder} holds neither safetensors nor pytorch_model*.bin.")


def _check_index(index: Path) -> None:
    for name in sorted({str(name) for name in read_json(index).get("weight_map", {}).values()}):
        if Path(name).name != name:
            raise ModelError(f"{index} names {name!r}, which lies outside the folder.")
        if not (index.parent / name).is_file():
            raise ResourceError(f"{index.parent / name} is missing, which {index.name} names.")


def _read_safe(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is corrupt or truncated and cannot be read as safetensors: {error}") from error
