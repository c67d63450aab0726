"""Weights and inputs that any program can draw again from their names; shared by golden makers and tests."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

MODALITIES = ("vision", "text", "audio", "depth", "thermal", "imu")
SEEDED_SIZES = {
    "out_embed_dim": 8,
    **{f"{modality}_embed_dim": 16 for modality in MODALITIES},
    **{f"{modality}_num_blocks": 2 for modality in MODALITIES},
    **{f"{modality}_num_heads": 2 for modality in MODALITIES},
}
_LONGEST_RUN = 65_537
_INPUT_SHAPES = {
    "vision": (2, 3, 224, 224),
    "audio": (2, 1, 128, 204),
    "depth": (2, 1, 224, 224),
    "thermal": (2, 1, 224, 224),
    "imu": (2, 6, 2000),
}
SIGNAL_SIZES = {"width": 16, "signals": 4, "output_tokens": 5, "output_size": 6}
_TEXTS = ([5, 49406, 7, 2, 49407], [49406, 11, 49407])


def seeded_tensor(name: str, shape: Sequence[int], std: float = 0.3) -> Tensor:
    """Draw from the name: numpy promises never to change the numbers of RandomState."""
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape))
    return torch.from_numpy(np.asarray(noise * std))


def seeded_run(name: str, shape: Sequence[int], std: float = 0.3) -> Tensor:
    """Like ``seeded_tensor``, for large tensors: a run of prime length, repeated; it never lines up with rows."""
    run = seeded_tensor(name, (min(int(np.prod(shape, dtype=np.int64)), _LONGEST_RUN),), std)
    return torch.from_numpy(np.resize(run.numpy(), tuple(shape)))


def seeded_input(modality: str, number: int = 0) -> Tensor:
    """Two inputs of a modality, in the published shapes: float64, token ids for text."""
    if modality == "text":
        ids = torch.zeros(2, 77, dtype=torch.long)
        for row, text in enumerate(_TEXTS):
            ids[row, : len(text)] = torch.tensor(text)
        return ids
    return seeded_tensor(f"{modality} {number}", _INPUT_SHAPES[modality], std=1.0)
