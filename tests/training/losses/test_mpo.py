"""MPO: each term by hand, its divisor, and the reward shift that a checkpoint carries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.training.forward import Forward
from geoprose.training.losses.dpo import dpo_losses
from geoprose.training.losses.lm import causal_lm_loss_sum
from geoprose.training.losses.mpo import bco_losses
from geoprose.training.preference.loss import LogRatios
from tests.fixtures.preference_batches import first_loss, stage_batches, system_of
from tests.fixtures.preferences import make_judged, make_pairs

if TYPE_CHECKING:
    from pathlib import Path

CHOSEN = torch.tensor([0.0, 2.0], dtype=torch.float64)
REJECTED = torch.tensor([0.0, -1.0], dtype=torch.float64)


def _log_sigma(x: float) -> float:
    return -math.log1p(math.exp(-x))


def test_bco_by_hand() -> None:
    expected = [-_log_sigma(-0.5) - _log_sigma(0.5), -_log_sigma(0.2 * 2 - 0.5) - _log_sigma(0.2 + 0.5)]
    torch.testing.assert_close(bco_losses(CHOSEN, REJECTED, 0.2, 0.5), torch.tensor(expected, dtype=torch.float64))
    chosen, rejected = CHOSEN.clone().requires_grad_(), REJECTED.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda c, r: bco_losses(c, r, 0.3, 0.2), (chosen, rejected))


def _started(folder: Path, **spec: Any) -> Any:
    batches = stage_batches(folder, make_pairs(folder, 3), [{"type": "mpo", **spec}], batch_size=4, steps=3)
    first_loss(batches).begin(system_of(batches).model, batches)
    return batches


def _moved(batches: Any) -> Any:
    """Move the policy away from its reference."""
    model = system_of(batches).model
    with torch.no_grad():
        for parameter in model.model.connector.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


def _total(batches: Any, numbers: list[int]) -> float:
    """Return the loss of one optimiser step over some micro-batches, as the trainer divides it."""
    loss, model = first_loss(batches), system_of(batches).model
    step = [batches[number] for number in numbers]
    for batch in step:
        loss.fill(model, batch)
    items = sum(loss.num_items(batch) for batch in step)
    with torch.no_grad():
        return sum(float(loss.loss_sum(Forward(model, batch))) for batch in step) / items


def test_terms_are_divided_by_pairs_and_tokens(tmp_path: Path) -> None:
    batches = _started(tmp_path, preference_weight=0.8, quality_weight=0.2, generation_weight=1.0)
    model, loss = _moved(batches), first_loss(batches)
    batch = batches[0]
    with torch.no_grad():
        forward = Forward(model, batch)
        found, hidden = loss.log_ratios(forward), forward.hidden
    chosen, rejected = found.ratios_A[batch["pairs"][:, 0]], found.ratios_A[batch["pairs"][:, 1]]
    shift = 0.1 * float(found.ratios_A.mean())
    good = torch.isin(batch["answer_of"], batch["pairs"][:, 0])
    labels = batch["next_ids"].masked_fill(~good, -100)
    with torch.no_grad():
        nll = causal_lm_loss_sum(hidden, labels, model.lm_head) / good.sum()
    expected = (
        0.8 * dpo_losses(chosen, rejected, 0.1).mean() + 0.2 * bco_losses(chosen, rejected, 0.1, shift).mean() + nll
    )
    assert _total(batches, [0]) == pytest.approx(float(expected), rel=1e-9)


def test_accumulation_changes_nothing_with_the_shift_of_the_steps_before(tmp_path: Path) -> None:
    batches = _started(tmp_path, reward_shift="before_step")
    _moved(batches)
    first_loss(batches).parameters["reward_shift"].data = torch.tensor([0.3, 5.0], dtype=torch.float64)
    parts = _total(batches, [0, 1])
    joined = stage_batches(
        tmp_path, make_pairs(tmp_path, 3), [{"type": "mpo", "reward_shift": "before_step"}], system_of(batches),
        batch_size=8, steps=1,
    )  # fmt: skip
    other = first_loss(joined)
    other._reference = first_loss(batches)._reference
    other.parameters["reward_shift"].data = torch.tensor([0.3, 5.0], dtype=torch.float64)
    assert [len(joined[0]["pairs"]), len(batches[0]["pairs"])] == [8, 4]
    assert _total(joined, [0]) == pytest.approx(parts, rel=1e-6)


def _ratios(*values: float) -> LogRatios:
    tensor = torch.tensor(values, dtype=torch.float64)
    return LogRatios(tensor, tensor, torch.ones_like(tensor))


def test_the_shift_is_the_mean_over_micro_batches(tmp_path: Path) -> None:
    loss = first_loss(_started(tmp_path, beta=0.5))
    assert loss._reward_shift(_ratios(2.0, 4.0)) == pytest.approx(1.5)
    assert loss._reward_shift(_ratios(-2.0, 0.0)) == pytest.approx((1.5 - 0.5) / 2)
    assert loss._reward_shift(_ratios(float("nan"), 0.0)) == pytest.approx(0.5)  # a step to be skipped leaves no trace
    assert loss.parameters["reward_shift"].tolist() == [0.5, 2.0]
    assert not loss.parameters["reward_shift"].requires_grad


@pytest.mark.parametrize(("kind", "expected"), [("running", 0.5), ("before_step", 0.0), ("none", 0.0)])
def test_kinds_of_shift(tmp_path: Path, kind: str, expected: float) -> None:
    loss = first_loss(_started(tmp_path, beta=0.5, reward_shift=kind))
    assert loss._reward_shift(_ratios(1.0, 1.0)) == pytest.approx(expected)


def test_single_judged_answers_are_refused(tmp_path: Path) -> None:
    batches = stage_batches(tmp_path, make_judged(tmp_path, 2), [{"type": "mpo"}], steps=1)
    with pytest.raises(ConfigError, match="use the loss kto"):
        first_loss(batches).num_items(batches[0])
