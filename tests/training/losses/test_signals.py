"""Targets of signal tokens: read from files, one per request, compared with what the answers ask for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geoprose.core.errors import ConfigError, DataError, ProcessingError
from geoprose.core.types import Message, Sample
from geoprose.data.collator import Row
from geoprose.data.mixture import Unit
from geoprose.models.parts.heads.signals import signal_conditions
from geoprose.systems.build import build_system
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.signals import SignalMseLoss
from geoprose.training.specs.loss_generation import SignalMseLossSpec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def system() -> Any:
    return build_system("next-gpt", scale="tiny", dtype=torch.float64)


def unit_of(folder: Path, signals: Any) -> Unit:
    sample = Sample("a", (), (Message("user", "?"), Message("assistant", "!")), meta={"signals": signals})
    return Unit((), (sample,), str(folder))


def test_targets_are_stacked_in_order(tmp_path: Path, system: Any) -> None:
    loss = SignalMseLoss(SignalMseLossSpec(), LossContext(system))
    for number in range(2):
        np.save(tmp_path / f"{number}.npy", np.full(loss.shape, number, np.float64))
    row = Row([], [], [], [])
    loss.add_targets(row, unit_of(tmp_path, {"image": ["1.npy", "0.npy"], "audio": ["nowhere.npy"]}))
    assert row.targets[loss.key].shape == (2, *loss.shape)
    assert row.targets[loss.key][:, 0, 0].tolist() == [1.0, 0.0]
    loss.add_targets(row, unit_of(tmp_path, {}))
    assert row.targets[loss.key].shape == (0, *loss.shape)


@pytest.mark.parametrize(
    ("signals", "said"),
    [({"image": "0.npy"}, "lists of paths"), ([1], "lists of paths"), ({"image": ["no.npy"]}, "does not exist"),
     ({"image": ["text.npy"]}, "no array"), ({"image": ["small.npy"]}, "has shape")],
)  # fmt: skip
def test_bad_targets_are_named(tmp_path: Path, system: Any, signals: Any, said: str) -> None:
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "small.npy", np.zeros(3))
    loss = SignalMseLoss(SignalMseLossSpec(), LossContext(system))
    with pytest.raises(DataError, match=said):
        loss.add_targets(Row([], [], [], []), unit_of(tmp_path, signals))


@pytest.mark.parametrize("kind", ["mse", "distance"])
def test_the_loss_by_hand_and_its_gradient(system: Any, kind: Any) -> None:
    loss = SignalMseLoss(SignalMseLossSpec(kind=kind), LossContext(system))
    run = list(system.model.signal_heads["image"].token_ids)
    ids = torch.tensor([[11, *run, 12], [*run, 13, 14]])
    targets = torch.randn(2, *loss.shape, dtype=torch.float64)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), loss.key: targets}
    value = loss.loss_sum(Forward(system.model, batch))
    assert loss.num_items(batch) == 2
    asked = signal_conditions(system.model, ids, attention_mask=torch.ones_like(ids))["image"]
    difference = (asked - targets).detach()
    by_hand = difference.square().mean() if kind == "mse" else difference.norm(dim=-1).mean()
    assert math.isclose(float(value.detach()), 2 * float(by_hand), rel_tol=1e-9)
    value.backward()
    assert bool(system.model.signal_heads["image"].output.weight.grad.any())


def test_requests_and_targets_must_agree(system: Any) -> None:
    loss = SignalMseLoss(SignalMseLossSpec(), LossContext(system))
    ids = torch.tensor([[11, 12, 13]])
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), loss.key: torch.zeros(0, *loss.shape)}
    assert float(loss.loss_sum(Forward(system.model, batch)).detach()) == 0.0
    with pytest.raises(ProcessingError, match="one target per request"):
        loss.loss_sum(Forward(system.model, {**batch, loss.key: torch.zeros(1, *loss.shape)}))


def test_a_system_without_the_signal_is_refused(system: Any) -> None:
    with pytest.raises(ConfigError, match="it has image, video, audio"):
        SignalMseLoss(SignalMseLossSpec(signal="smell"), LossContext(system))
    with pytest.raises(ConfigError, match="it has none"):
        SignalMseLoss(SignalMseLossSpec(), LossContext(build_system("demo", scale="tiny")))
