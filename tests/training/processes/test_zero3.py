"""DeepSpeed's cut: what it sees of a model, and two processes that do what one does where it is hardest.

Plain runs, and a run that is stopped and goes on, are in test_distributed.py.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from geoprose.core.preset_folder import PresetFolder
from geoprose.core.types import Message, Sample
from geoprose.data.neutral import write_samples
from geoprose.training.losses.lm import LmLoss
from geoprose.training.module import StageModule
from geoprose.training.processes.twins import layers_of
from geoprose.training.processes.zero3 import _Shell, _twin_of
from geoprose.training.run import run_recipe
from tests.fixtures.processes import launch, needs_deepspeed, start
from tests.fixtures.systems import tiny_system
from tests.fixtures.training import make_samples, stage, write_recipe

ADAPTERS = stage(
    name="adapters",
    trainable=["connector.*"],
    lora={"rank": 2, "targets": ["q_proj", "v_proj"]},
    losses=[{"type": "lm", "chunk_tokens": 2}],
    batch_size=1,
    accumulation=4,
    steps=5,
    gradient_checkpointing=True,
    optimiser={"weight_decay": 0.1, "max_grad_norm": 0.5},
)
"""Layers that run again in the backward pass, and a head that runs once for every chunk of answers, so that the
processes run other modules than each other."""

ROUNDED = {**copy.deepcopy(ADAPTERS), "name": "rounded", "precision": "bf16", "steps": 2}
"""Frozen bfloat16 beside trained float32."""


def write_mixed_data(folder: Path) -> Path:
    """Write samples of which a third has no picture."""
    samples = make_samples(folder, 4)
    for number in range(len(samples) // 2):
        talk = (Message("user", f"What is {number} and one?"), Message("assistant", "x " * number + f"{number + 1}"))
        samples.append(Sample(f"text-{number}", (), talk, "chat", "train"))
    write_samples(samples, folder / "train.jsonl")
    return folder


class _Twice(nn.Module):
    """A model with a tied weight, a scalar and a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.second.bias.requires_grad_(False)


def test_a_twin_has_parameters_of_its_own_in_the_same_memory() -> None:
    module = StageModule(_Twice(), [])
    twin = _twin_of(module)
    named, again = dict(module.named_parameters()), dict(twin.named_parameters())
    assert list(named) == list(again)
    for name, parameter in named.items():
        assert again[name] is not parameter
        assert again[name].data_ptr() == parameter.data_ptr()
        assert again[name].requires_grad == parameter.requires_grad
    assert twin.model.second.weight is twin.model.first.weight
    assert twin.reads_all


def test_deepspeed_sees_layers_and_the_rest_once() -> None:
    model = tiny_system("demo").model
    shell = _Shell(StageModule(model, []))
    seen = [id(parameter) for parameter in shell.parameters()]
    assert len(seen) == len(set(seen))
    assert set(seen) == {id(parameter) for parameter in model.parameters()}
    assert {id(layer) for layer in shell.layers} <= {id(layer) for layer in layers_of(model)}
    own = {id(parameter) for parameter in shell.parameters(recurse=False)}
    assert id(model.lm_head.weight) in own
    assert not any(id(parameter) in own for parameter in model.model.language_model.layers.parameters())
    shell.train(False)
    assert not model.training


def _difference(run: Path, other: Path, file: str = "system/model.safetensors") -> float:
    ours, theirs = (load_file(folder / file) for folder in (run, other))
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def _lines(run: Path, stage: str = "adapters") -> list[dict[str, Any]]:
    (path,) = run.glob(f"stages/*-{stage}/log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


@needs_deepspeed
@pytest.mark.slow
def test_accelerate_launches_it_and_adapters_train_as_in_one_process(tmp_path: Path) -> None:
    data = write_mixed_data(tmp_path)
    single = tmp_path / "single"
    run_recipe(write_recipe(tmp_path, [ADAPTERS, ROUNDED]), out_dir=single, data_dir=data)
    recipe = write_recipe(tmp_path, [{**values, "accumulation": 2} for values in (ADAPTERS, ROUNDED)])
    configuration = str(PresetFolder("launch", "launch configuration").find("zero3"))
    options = ("--config_file", configuration, "--num_processes", "2", "-m", "geoprose.cli", "train", str(recipe))
    out = tmp_path / "run"
    done = start("accelerate.commands.launch", *options, "--out", str(out), "--data", str(data))
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((out / "run.json").read_text())
    assert (record["recipe"]["sharding"], record["processes"]) == ("zero3", 2)
    assert _difference(out, single, "stages/01-adapters/done/weights.safetensors") < 2e-5
    # What float32 sums of another order change by 1e-7, a rounding to eight bits makes 4e-3 of a number.
    assert _difference(out, single) < 2e-3
    for name, loss, norm in (("adapters", 1e-5, 1e-4), ("rounded", 1e-3, 1e-2)):
        for ours, theirs in zip(_lines(out, name), _lines(single, name), strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=loss)
            assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=norm)
            assert ours["tokens"] == theirs["tokens"]


def _with_bad_steps(recipe: str, out: str, data: str) -> None:
    """A run whose second step has a loss that is not finite, in the second process alone where there are two."""
    original, calls = LmLoss.loss_sum, [0]
    per_step = 4 // int(os.environ.get("WORLD_SIZE", "1"))

    def loss_sum(self: LmLoss, forward: Any) -> torch.Tensor:
        calls[0] += 1
        is_bad = (calls[0] - 1) // per_step == 1 and os.environ.get("RANK", "1") == "1"
        return original(self, forward) * (float("nan") if is_bad else 1.0)

    LmLoss.loss_sum = loss_sum  # type: ignore[method-assign]
    try:
        run_recipe(recipe, out_dir=Path(out), data_dir=Path(data))
    finally:
        LmLoss.loss_sum = original  # type: ignore[method-assign]


@needs_deepspeed
@pytest.mark.slow
def test_both_processes_skip_a_step_that_is_not_finite_in_one(tmp_path: Path) -> None:
    data = write_mixed_data(tmp_path)
    plain = {**ADAPTERS, "losses": [{"type": "lm"}]}
    single, out = tmp_path / "single", tmp_path / "run"
    _with_bad_steps(str(write_recipe(tmp_path, [plain])), str(single), str(data))
    recipe = str(write_recipe(tmp_path, [{**plain, "accumulation": 2}], sharding="zero3"))
    done = launch(2, "tests.training.processes.test_zero3", recipe, str(out), str(data))
    assert done.returncode == 0, done.stderr[-3000:]
    for run in (single, out):
        record = json.loads((run / "run.json").read_text())
        assert record["stages"]["adapters"]["skipped_steps"] == 1
        assert [line["loss"] is None for line in _lines(run)] == [False, True, False, False, False]
    assert _difference(out, single) < 2e-5


if __name__ == "__main__":
    _with_bad_steps(*sys.argv[1:])
