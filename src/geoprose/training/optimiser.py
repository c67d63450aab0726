"""AdamW with a rate per glob, a learning-rate curve that is a pure function, and their state without pickle."""

from __future__ import annotations

import fnmatch
import math
import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geoprose.core.errors import ConfigError, TrainingError
from geoprose.core.registry import unknown_name_message
from geoprose.training.freeze import short_name
from geoprose.training.module import LOSS_PREFIX
from geoprose.training.processes.sharding import like
from geoprose.training.processes.zero3 import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.training.specs.schedule import ScheduleSpec
    from geoprose.training.specs.stage import StageSpec

_SEPARATOR = "::"
_LAYER = re.compile(r"\.(?:layers?|blocks?|h|resblocks)\.(\d+)\.")
_EMBEDDING = re.compile(r"embed|patch|cls_token|class_token|register_tokens")


def build_optimiser(named: Mapping[str, nn.Parameter], stage: StageSpec) -> torch.optim.AdamW:
    """Return AdamW, one group per (rate, decay).

    Args:
        named: Everything that trains, by name.
        stage: Rates, by the first glob of ``learning_rates`` that matches the name below the backbone.

    Raises:
        ConfigError: If a glob of ``learning_rates`` matches nothing that trains.
    """
    unused = set(stage.learning_rates)
    decays_by_layer = layer_decay_factors(list(named), stage.layer_decay)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in named.items():
        glob = next((g for g in stage.learning_rates if fnmatch.fnmatchcase(short_name(name), g)), None)
        unused.discard(glob or "")
        rate = stage.learning_rate if glob is None else stage.learning_rates[glob]
        rate *= decays_by_layer.get(name, 1.0)
        decays = not name.startswith(LOSS_PREFIX) and (stage.optimiser.decay == "all" or parameter.dim() > 1)
        decay = stage.optimiser.weight_decay if decays else 0.0
        group = groups.setdefault((rate, decay), {"params": [], "names": [], "lr": rate, "weight_decay": decay})
        group["params"].append(parameter)
        group["names"].append(name)
    if unused:
        shorts = sorted({short_name(name) for name in named})
        raise ConfigError(unknown_name_message("learning_rates glob", sorted(unused)[0], shorts[:20]))
    options = stage.optimiser
    # Why not fused/foreach: their kernels differ between machines and torch releases; the plain loop is the reference.
    return torch.optim.AdamW(
        list(groups.values()), betas=(options.beta1, options.beta2), eps=options.epsilon, foreach=False, fused=False
    )


def layer_decay_factors(names: Sequence[str], decays: Mapping[str, float]) -> dict[str, float]:
    """Return the factor of the rate of every parameter of the parts with a layer-wise decay.

    Layer i (from 0) of n gets ``decay ** (n - i)``, the embeddings below the first ``decay ** (n + 1)``, and what lies
    above the last layer 1.

    Args:
        names: Parameters that train; the layers are counted by the highest number among them.
        decays: Part below the backbone to its decay, e.g. ``vision_encoder: 0.9``.

    Raises:
        ConfigError: If a part has no numbered layer that trains.

    Source:
        BEiT, arXiv:2106.08254, appendix; code microsoft/unilm ``beit/optim_factory.py`` (``LayerDecayValueAssigner``),
        which LAVIS (BLIP-2) and InternVL copy.
    """
    factors = {}
    for part, decay in decays.items():
        inside = [name for name in names if short_name(name).startswith(f"{part}.")]
        depths = {name: int(found[1]) for name in inside if (found := _LAYER.search(short_name(name)))}
        if not depths:
            raise ConfigError(f"layer_decay: no numbered layer of {part!r} trains; let its layers train or drop it.")
        num_layers = max(depths.values()) + 1
        for name in inside:
            above = num_layers - depths[name] if name in depths else (num_layers + 1 if _EMBEDDING.search(name) else 0)
            factors[name] = decay**above
    return factors


def rate_factor(step: int, schedule: ScheduleSpec, num_steps: int) -> float:
    """Return the share of the full rate at optimiser step ``step`` (from 0)."""
    num_warmup = schedule.num_warmup(num_steps)
    warmup = min(1.0, (step + 1) / num_warmup) if num_warmup else 1.0
    if schedule.kind == "constant":
        return warmup
    if schedule.kind == "inverse_sqrt":
        return warmup * min(1.0, math.sqrt(max(1, num_warmup) / (step + 1)))
    start = num_warmup if schedule.curve == "after_warmup" else 0
    progress = min(1.0, max(0, step - start) / max(1, num_steps - start))
    left = 1.0 - progress if schedule.kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
    return warmup * (schedule.final_fraction + (1.0 - schedule.final_fraction) * left)


def build_scheduler(optimiser: Any, stage: StageSpec) -> torch.optim.lr_scheduler.LambdaLR:
    """Return torch's scheduler around ``rate_factor``."""
    return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_factor(step, stage.schedule, stage.steps))


def optimiser_tensors(optimiser: Any) -> dict[str, Tensor]:
    """Return the optimiser's state by parameter name: ``exp_avg::model.connector.x`` and so on."""
    if isinstance(optimiser, Steps):
        states = optimiser.moments()
    else:
        states = {name: optimiser.state.get(parameter, {}) for name, parameter in _parameters(optimiser).items()}
    return {
        f"{kind}{_SEPARATOR}{name}": torch.as_tensor(value)
        for name, state in states.items()
        for kind, value in state.items()
    }


def restore_optimiser(optimiser: Any, tensors: Mapping[str, Tensor], scheduler: Any, next_step: int) -> None:
    """Put back what ``optimiser_tensors`` took, and set the scheduler to the step that comes next.

    Raises:
        TrainingError: If the state belongs to other parameters.
    """
    states: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        kind, _, name = key.partition(_SEPARATOR)
        states.setdefault(name, {})[kind] = tensor
    strange = set(states) - {name for group in optimiser.param_groups for name in group["names"]}
    if strange:
        raise TrainingError(
            f"The checkpoint holds optimiser state of parameters that do not train: {sorted(strange)[:3]}."
        )
    if isinstance(optimiser, Steps):
        optimiser.restore(states)
    else:
        parameters = _parameters(optimiser)
        for name, state in states.items():
            for kind, tensor in state.items():
                value = tensor if kind == "step" else like(tensor, parameters[name])
                optimiser.state[parameters[name]][kind] = value
    scheduler.last_epoch = next_step
    scheduler._step_count = next_step + 1
    for group, base_rate, factor in zip(optimiser.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True):
        group["lr"] = base_rate * factor(next_step)
    scheduler._last_lr = [group["lr"] for group in optimiser.param_groups]


def _parameters(optimiser: Any) -> dict[str, nn.Parameter]:
    """Return what an optimiser steps, by name."""
    return {n: p for group in optimiser.param_groups for n, p in zip(group["names"], group["params"], strict=True)}
