"""KTO by hand, its reference point, and the partners it is estimated from."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import DataError
from geoprose.training.forward import Forward
from geoprose.training.losses.kto import kto_losses, partners
from geoprose.training.preference.log_probs import policy_log_probs
from tests.fixtures.preference_batches import first_loss, stage_batches, system_of
from tests.fixtures.preferences import make_judged, make_pairs

if TYPE_CHECKING:
    from pathlib import Path

GOOD = torch.tensor([True, True, False])
RATIOS = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def _sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_values_by_hand() -> None:
    z, beta = 0.25, 0.4
    expected = [
        2.0 * (1 - _sigma(beta * (1.0 - z))),
        2.0 * (1 - _sigma(beta * (-2.0 - z))),
        3.0 * (1 - _sigma(beta * (z - 0.5))),
    ]
    found = kto_losses(RATIOS, GOOD, beta, z, (2.0, 3.0))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_gradients_lift_good_answers_and_lower_bad_ones() -> None:
    ratios = RATIOS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r: kto_losses(r, GOOD, 0.3, 0.1, (1.0, 1.0)), (ratios,))
    kto_losses(ratios, GOOD, 0.3, 0.1, (1.0, 1.0)).sum().backward()
    assert ratios.grad is not None
    assert (ratios.grad < 0).tolist() == GOOD.tolist()


def test_partners_answer_other_prompts(tmp_path: Path) -> None:
    samples = make_judged(tmp_path, 2)
    found = partners(samples)
    assert len(found) == len(samples)
    texts = [sample.messages[-1].text for sample in samples]
    assert list(found.values()) == [*texts[1:], texts[0]]
    twice = [samples[0], replace(samples[0], id="again"), samples[1]]
    assert list(partners(twice).values()) == [samples[1].messages[-1].text, samples[0].messages[-1].text]
    with pytest.raises(DataError, match="one prompt"):
        partners(twice[:2])


def _started(folder: Path, judged: bool = True, batch_size: int = 4) -> Any:
    samples = make_judged(folder, 3) if judged else make_pairs(folder, 3)
    batches = stage_batches(folder, samples, [{"type": "kto", "beta": 0.5}], batch_size=batch_size, steps=2)
    model = system_of(batches).model
    first_loss(batches).begin(model, batches)
    with torch.no_grad():
        for parameter in model.model.connector.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    model.eval()
    return batches


def _step(batches: Any, numbers: list[int]) -> float:
    loss, model = first_loss(batches), system_of(batches).model
    step = [batches[number] for number in numbers]
    for batch in step:
        loss.fill(model, batch)
    with torch.no_grad():
        return sum(float(loss.loss_sum(Forward(model, batch))) for batch in step)


def test_the_reference_point_is_the_mean_over_the_step(tmp_path: Path) -> None:
    batches = _started(tmp_path)
    loss, model = first_loss(batches), system_of(batches).model
    total = _step(batches, [0, 1])
    parts, expected = [], 0.0
    with torch.no_grad():
        for number in (0, 1):
            mismatch = batches[number]["mismatch"]
            parts.append(policy_log_probs(Forward(model, mismatch)).sums_A - loss.reference_of(mismatch))
        z = max(0.0, float(torch.cat(parts).mean()))
        for number in (0, 1):
            batch = batches[number]
            ratios = loss.log_ratios(Forward(model, batch)).ratios_A
            expected += float(kto_losses(ratios, batch["answer_is_good"], 0.5, z, (1.0, 1.0)).sum())
    assert total == pytest.approx(expected, rel=1e-9)
    assert set(loss.figures) == {"reward_good", "reward_bad"}


def test_a_pair_counts_as_two_answers(tmp_path: Path) -> None:
    batches = _started(tmp_path, judged=False, batch_size=2)
    assert first_loss(batches).num_items(batches[0]) == 4
    assert math.isfinite(_step(batches, [0]))


def test_the_model_stays_in_its_mode(tmp_path: Path) -> None:
    batches = _started(tmp_path)
    model = system_of(batches).model.train()
    first_loss(batches).fill(model, batches[0])
    assert model.training
