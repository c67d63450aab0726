"""A reward model: one number read from the state that has seen prompt and answer, saved beside the system."""

# B rows, T tokens, A answers, D width of the language model

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geoprose.core.errors import ModelError
from geoprose.training.checkpoints import checkpoint as checkpoints

if TYPE_CHECKING:
    from pathlib import Path

REWARD_FOLDER = "reward_head"
"""Folder of a stage that trained a head."""
REWARD_FILE = "reward_head.safetensors"
"""Its file, there and in the folder of the system."""


class RewardHead(nn.Module):
    """``r = w . h`` with ``h`` the last state of an answer; a bias would cancel between answers.

    Args:
        width: D.
        seed: Of the random start, normal with deviation ``1 / sqrt(D + 1)`` (arXiv:2009.01325, appendix B).
    """

    def __init__(self, width: int, seed: int = 0) -> None:
        super().__init__()
        start = torch.randn(width, generator=torch.Generator().manual_seed(seed)) * (width + 1) ** -0.5
        self.weight = nn.Parameter(start)

    def forward(self, hidden_BTD: Tensor, answer_of_BT: Tensor, num_answers: int) -> Tensor:
        """Return the reward of each answer (A,), computed in float32 or wider.

        Args:
            hidden_BTD: Last hidden states of the backbone.
            answer_of_BT: The answer that each position predicts a token of, -1 for none. The last of an answer's
                positions has read all of it but its end of turn.
            num_answers: A.
        """
        return reward_of(hidden_BTD, answer_of_BT, num_answers, self.weight)

    def save(self, folder: Path) -> Path:
        """Write the head into a folder and return its file."""
        path = folder / REWARD_FILE
        checkpoints.write_tensors(path, {"weight": self.weight})
        return path

    @classmethod
    def load(cls, folder: Path) -> RewardHead:
        """Read the head beside a system.

        Raises:
            ModelError: If there is none, or it is no such file.
        """
        path = folder / REWARD_FILE
        if not path.is_file():
            raise ModelError(f"{folder} has no {REWARD_FILE}: train one with the loss reward_pairs.")
        tensors = checkpoints.read_tensors(path)
        if set(tensors) != {"weight"} or tensors["weight"].dim() != 1:
            raise ModelError(f"{path} is no reward head: it holds {sorted(tensors)}, expected one vector, weight.")
        head = cls(len(tensors["weight"]))
        head.weight.data = tensors["weight"]
        return head


def copy_reward_head(out_dir: Path, system_dir: Path) -> None:
    """Put the head that the last stage with one trained beside the system; a run without one is left as it is."""
    found = sorted(out_dir.glob(f"stages/*/{REWARD_FOLDER}/{REWARD_FILE}"))
    if found:
        shutil.copyfile(found[-1], system_dir / REWARD_FILE)


def reward_of(hidden_BTD: Tensor, answer_of_BT: Tensor, num_answers: int, weight_D: Tensor) -> Tensor:
    """Return ``w . h`` (A,) at the last position of each answer; see ``RewardHead``."""
    size = answer_of_BT.shape[1]
    flat = answer_of_BT.reshape(-1)
    places = torch.arange(len(flat), device=flat.device)
    is_answer = flat >= 0
    last_A = torch.zeros(num_answers, dtype=torch.long, device=flat.device)
    last_A = last_A.scatter_reduce(0, flat[is_answer], places[is_answer], "amax", include_self=False)
    states_AD = hidden_BTD[last_A // size, last_A % size]
    return states_AD.to(weight_D.dtype) @ weight_D
