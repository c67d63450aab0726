"""Groups, curves and the state of the optimiser."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from geoprose.core.errors import ConfigError, TrainingError
from geoprose.training.optimiser import (
    build_optimiser,
    build_scheduler,
    layer_decay_factors,
    optimiser_tensors,
    rate_factor,
    restore_optimiser,
)
from geoprose.training.specs.schedule import ScheduleSpec
from geoprose.training.specs.stage import StageSpec
from tests.fixtures.training import stage


def _stage(**changes: object) -> StageSpec:
    return StageSpec.model_validate(stage(**changes))


def _named() -> dict[str, nn.Parameter]:
    torch.manual_seed(0)
    return {
        "model.connector.weight": nn.Parameter(torch.randn(2, 2)),
        "model.connector.bias": nn.Parameter(torch.randn(2)),
        "model.language_model.lora_A.weight": nn.Parameter(torch.randn(2, 2)),
        "loss.lexical_alignment.bias": nn.Parameter(torch.zeros(2)),
    }


def test_groups_by_rate_and_decay() -> None:
    spec = _stage(learning_rate=1.0, learning_rates={"*lora*": 2.0}, optimiser={"weight_decay": 0.1})
    groups = {tuple(g["names"]): (g["lr"], g["weight_decay"]) for g in build_optimiser(_named(), spec).param_groups}
    assert groups == {
        ("model.connector.weight",): (1.0, 0.1),
        ("model.connector.bias", "loss.lexical_alignment.bias"): (1.0, 0.0),
        ("model.language_model.lora_A.weight",): (2.0, 0.1),
    }


def test_decay_of_everything_spares_the_losses() -> None:
    spec = _stage(learning_rate=1.0, optimiser={"weight_decay": 0.1, "decay": "all"})
    decays = {n: g["weight_decay"] for g in build_optimiser(_named(), spec).param_groups for n in g["names"]}
    assert decays["model.connector.bias"] == 0.1
    assert decays["loss.lexical_alignment.bias"] == 0.0


def test_a_rate_for_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="lorra"):
        build_optimiser(_named(), _stage(learning_rates={"*lorra*": 1.0}))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"kind": "constant"}, [1, 1, 1, 1]),
        ({"kind": "constant", "warmup_steps": 2}, [0.5, 1, 1, 1]),
        ({"kind": "linear"}, [1, 0.75, 0.5, 0.25]),
        ({"kind": "linear", "final_fraction": 0.2}, [1, 0.8, 0.6, 0.4]),
        ({"kind": "cosine"}, [1, 0.5 + 0.5 * 0.5**0.5, 0.5, 0.5 - 0.5 * 0.5**0.5]),
        ({"kind": "cosine", "warmup_steps": 2, "final_fraction": 0.1}, [0.5, 0.1 + 0.9 * 0.8535534, 0.55, 0.2318019]),
        ({"kind": "inverse_sqrt", "warmup_steps": 2}, [0.5, 1, (2 / 3) ** 0.5, 0.5**0.5]),
        ({"kind": "linear", "warmup_fraction": 0.4, "curve": "after_warmup"}, [0.5, 1, 1, 0.5]),
        ({"kind": "cosine", "warmup_fraction": 0.25, "curve": "after_warmup"}, [1, 1, 0.75, 0.25]),
    ],
)
def test_curves(schedule: dict[str, object], expected: list[float]) -> None:
    spec = ScheduleSpec.model_validate(schedule)
    assert [rate_factor(step, spec, 4) for step in range(4)] == pytest.approx(expected)


def test_the_curve_after_a_warm_up_is_that_of_transformers() -> None:
    from transformers import get_cosine_schedule_with_warmup

    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(optimiser, 3, 20)
    ours = ScheduleSpec.model_validate({"warmup_fraction": 0.15, "curve": "after_warmup"})
    for step in range(3, 20):  # below, theirs starts at 0 and ours at 1 / 3
        assert rate_factor(step, ours, 20) == pytest.approx(theirs.lr_lambdas[0](step))


def test_a_warm_up_is_given_once() -> None:
    with pytest.raises(ValueError, match="not both"):
        ScheduleSpec(warmup_steps=2, warmup_fraction=0.1)


LAYERED = [
    "model.vision_encoder.tower.embeddings.patch.weight",
    "model.vision_encoder.tower.encoder.layer.0.q.weight",
    "model.vision_encoder.tower.encoder.layer.1.mlp.layers.7.weight",
    "model.vision_encoder.tower.norm.weight",
    "model.connector.layers.0.weight",
]


def test_rates_fall_from_layer_to_layer() -> None:
    factors = layer_decay_factors(LAYERED, {"vision_encoder": 0.5})
    assert list(factors.values()) == [0.125, 0.25, 0.5, 1.0]
    named = {name: nn.Parameter(torch.zeros(2, 2)) for name in LAYERED}
    spec = _stage(learning_rate=8.0, learning_rates={"vision_encoder.*": 4.0}, layer_decay={"vision_encoder": 0.5})
    rates = {name: g["lr"] for g in build_optimiser(named, spec).param_groups for name in g["names"]}
    assert [rates[name] for name in LAYERED] == [0.5, 1.0, 2.0, 4.0, 8.0]
    with pytest.raises(ConfigError, match="language_model"):
        layer_decay_factors(LAYERED, {"language_model": 0.9})


def test_lora_plus_rates() -> None:
    """LoRA+ (arXiv:2402.12354) trains B faster than A."""
    named = {f"model.language_model.q_proj.lora_{x}.default.weight": nn.Parameter(torch.zeros(2, 2)) for x in "AB"}
    spec = _stage(learning_rate=1.0, learning_rates={"*.lora_B.*": 16.0})
    rates = {name: g["lr"] for g in build_optimiser(named, spec).param_groups for name in g["names"]}
    assert list(rates.values()) == [1.0, 16.0]


def _step(optimiser: torch.optim.Optimizer, scheduler: object, named: dict[str, nn.Parameter], number: int) -> None:
    for parameter in named.values():
        parameter.grad = torch.full_like(parameter, 0.1 * (number + 1))
    optimiser.step()
    scheduler.step()  # type: ignore[attr-defined]


def test_state_goes_to_tensors_and_back_exactly() -> None:
    spec = _stage(steps=6, learning_rates={"*lora*": 0.5}, schedule={"warmup_steps": 2})
    named = _named()
    optimiser = build_optimiser(named, spec)
    scheduler = build_scheduler(optimiser, spec)
    for number in range(3):
        _step(optimiser, scheduler, named, number)
    copy = {name: nn.Parameter(parameter.detach().clone()) for name, parameter in named.items()}
    other = build_optimiser(copy, spec)
    other_scheduler = build_scheduler(other, spec)
    tensors = {name: tensor.clone() for name, tensor in optimiser_tensors(optimiser).items()}
    restore_optimiser(other, tensors, other_scheduler, 3)
    for number in range(3, 6):
        assert scheduler.get_last_lr() == other_scheduler.get_last_lr()
        _step(optimiser, scheduler, named, number)
        _step(other, other_scheduler, copy, number)
    assert all(torch.equal(named[name], copy[name]) for name in named)


def test_state_of_other_parameters_is_refused() -> None:
    spec = _stage()
    optimiser = build_optimiser(_named(), spec)
    with pytest.raises(TrainingError, match="do not train"):
        restore_optimiser(optimiser, {"exp_avg::model.other": torch.zeros(1)}, build_scheduler(optimiser, spec), 1)
