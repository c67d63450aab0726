"""The reward head reads the last state of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from geoprose.core.errors import GeoproseError, ModelError
from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.preference.reward_head import REWARD_FILE, RewardHead

if TYPE_CHECKING:
    from pathlib import Path


def test_the_last_position_of_each_answer_is_read() -> None:
    hidden = torch.arange(16.0).reshape(2, 4, 2)
    answer_of = torch.tensor([[-1, 0, 0, 1], [2, 2, -1, -1]])
    head = RewardHead(2)
    head.weight.data = torch.tensor([1.0, 10.0])
    found = head(hidden, answer_of, 3)
    assert found.tolist() == [4 + 50, 6 + 70, 10 + 110]


def test_a_head_is_read_back(tmp_path: Path) -> None:
    head = RewardHead(8, seed=5)
    head.save(tmp_path)
    assert torch.equal(RewardHead.load(tmp_path).weight, head.weight)
    assert torch.equal(RewardHead(8, seed=5).weight, head.weight)
    assert not torch.equal(RewardHead(8, seed=6).weight, head.weight)


def test_what_is_no_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="reward_pairs"):
        RewardHead.load(tmp_path)
    checkpoints.write_tensors(tmp_path / REWARD_FILE, {"bias": torch.zeros(1)})
    with pytest.raises(ModelError, match="no reward head"):
        RewardHead.load(tmp_path)
    (tmp_path / REWARD_FILE).write_bytes(b"nothing")
    with pytest.raises(GeoproseError, match="cannot be read"):
        RewardHead.load(tmp_path)
