"""Two processes do what one does: gathering, sums, and whole runs with DDP and with sharded parameters."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.training.processes import distributed
from geoprose.training.processes.signals import Terminated
from geoprose.training.run import run_recipe
from geoprose.training.trainer import StageTrainer
from tests.fixtures.processes import launch, needs_deepspeed
from tests.fixtures.training import stage, write_recipe, write_tiny_data


class _Numbers(torch.utils.data.Dataset[int]):
    def __getitem__(self, index: int) -> int:
        return index


def test_one_process_needs_nothing() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert distributed.gather_with_grad(rows) is rows
    assert distributed.first_row(3) == 0
    assert distributed.sum_over_ranks([1, 2.5]) == [1.0, 2.5]
    assert distributed.any_rank(True)
    assert not distributed.any_rank(False)
    with distributed.main_first(), distributed.process_group():
        assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)
        distributed.barrier()


def test_processes_share_the_micro_batches_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of two processes that accumulate 3 are the steps of one that accumulates 6."""
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        share = distributed.RankShare(_Numbers(), 6)
        shares.append([share[index] for index in range(len(share))])
        with pytest.raises(IndexError):
            share[6]
    assert shares == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]
    for start in (0, 3):
        seen = sorted(number for share in shares for number in share[start : start + 3])
        assert seen == list(range(2 * start, 2 * start + 6))


def contrastive(rows: torch.Tensor, others: torch.Tensor, start: int) -> torch.Tensor:
    """The sum of a softmax loss of ``rows`` against all ``others``."""
    targets = torch.arange(start, start + len(rows))
    return torch.nn.functional.cross_entropy(rows @ others.T, targets, reduction="sum")


def make_rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return inputs of 5 rows on each side and a weight, float64."""
    random = torch.Generator().manual_seed(3)
    left, right = torch.randn(2, 5, 4, generator=random, dtype=torch.float64)
    return left, right, torch.randn(4, 4, generator=random, dtype=torch.float64)


def _child(out: Path) -> None:
    """Two processes with 3 and 2 rows: gradients of a contrastive loss, summed over processes."""
    with distributed.process_group():
        left, right, weight = make_rows()
        weight.requires_grad_()
        own = slice(0, 3) if distributed.rank() == 0 else slice(3, 5)
        rows, columns = left[own] @ weight, right[own] @ weight
        gathered = distributed.gather_with_grad(columns)
        loss = contrastive(rows, gathered, distributed.first_row(len(rows)))
        loss.backward()
        total, detached = weight.grad.clone(), weight.grad.clone() * 0
        torch.distributed.all_reduce(total)
        without = contrastive(left[own] @ weight, gathered.detach(), distributed.first_row(len(rows)))
        (detached,) = torch.autograd.grad(without, weight)
        torch.distributed.all_reduce(detached)
        sums = distributed.sum_over_ranks([float(loss.detach()), 1.0])
        flags = [distributed.any_rank(distributed.rank() == 1), distributed.any_rank(False)]
        if distributed.is_main():
            save_file({"total": total, "detached": detached, "gathered": gathered.detach()}, out / "rows.safetensors")
            (out / "numbers.json").write_text(json.dumps({"sums": sums, "flags": flags}))


@pytest.mark.slow
def test_rows_of_two_processes_have_the_gradient_of_the_joined_batch(tmp_path: Path) -> None:
    done = launch(2, "tests.training.processes.test_distributed", str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    left, right, weight = make_rows()
    weight.requires_grad_()
    loss = contrastive(left @ weight, right @ weight, 0)
    loss.backward()
    found = load_file(tmp_path / "rows.safetensors")
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    torch.testing.assert_close(found["total"], weight.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found["gathered"], (right @ weight).detach())
    assert not torch.allclose(found["detached"], weight.grad, rtol=0.05), "negative control: no gradient through rows"
    assert numbers["sums"] == pytest.approx([float(loss.detach()), 2.0])
    assert numbers["flags"] == [True, False]


CUT = ["full", pytest.param("zero3", marks=needs_deepspeed)]
STAGES = [
    stage(
        losses=[{"type": "lm"}, {"type": "lexical_alignment", "weight": 0.1, "readout_weight": 1.0}],
        packing="shared_prefix",
        accumulation=2,
        save_every=2,
    ),
    stage(
        name="instruct",
        trainable=["connector.*", "language_model.*"],
        batch_size=1,
        accumulation=4,
        optimiser={"weight_decay": 0.1, "max_grad_norm": 0.5},
        precision="bf16",
    ),
]


def _halved() -> list[dict[str, Any]]:
    return [{**values, "accumulation": values["accumulation"] // 2} for values in STAGES]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_data(tmp_path_factory.mktemp("single"), 5)
    run_recipe(write_recipe(folder, STAGES), out_dir=folder / "run", data_dir=folder)
    return folder


def _losses(run: Path) -> list[float]:
    paths = sorted(run.glob("stages/*/log.jsonl"))
    return [json.loads(line)["loss"] for path in paths for line in path.read_text().splitlines()]


def _difference(run: Path, other: Path) -> float:
    ours, theirs = (load_file(folder / "system" / "model.safetensors") for folder in (run, other))
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", *CUT])
def test_two_processes_train_the_model_of_one(single: Path, tmp_path: Path, sharding: str) -> None:
    recipe = write_recipe(tmp_path, _halved(), sharding=sharding)
    out = tmp_path / "run"
    command = ("geoprose.cli", "train", str(recipe), "--out", str(out), "--data", str(single))
    done = launch(2, *command)
    assert done.returncode == 0, done.stderr[-3000:]
    # AdamW divides by the root of tiny second moments, so float32 sums of another order show up at 1e-3 of a rate.
    assert _difference(out, single / "run") < 2e-5
    assert _losses(out) == pytest.approx(_losses(single / "run"), rel=1e-5)
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["processes"]) == ("finished", 2)
    assert (
        record["stages"]["align"]["tokens"]
        == json.loads((single / "run" / "run.json").read_text())["stages"]["align"]["tokens"]
    )
    control = tmp_path / "control"
    run_recipe(recipe, out_dir=control, data_dir=single)  # the same recipe in one process sees half of the batches
    assert _difference(control, single / "run") > 1e-3


def _stopped(recipe: str, out: str, data: str) -> None:
    """A run whose second process is asked to stop at step 2 of the second stage."""
    original = StageTrainer.finish_step

    def finish_step(self: StageTrainer) -> None:
        original(self)
        if (self.stage.name, self.state.global_step, distributed.rank()) == ("instruct", 2, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    StageTrainer.finish_step = finish_step  # type: ignore[method-assign]
    with pytest.raises(Terminated):
        run_recipe(recipe, out_dir=Path(out), data_dir=Path(data))


@pytest.mark.slow
@pytest.mark.parametrize("sharding", CUT)
def test_a_signal_to_one_process_stops_both_at_one_step_and_they_go_on(
    single: Path, tmp_path: Path, sharding: str
) -> None:
    out = tmp_path / "run"
    recipe = str(write_recipe(tmp_path, _halved(), sharding=sharding))
    done = launch(2, "tests.training.processes.test_distributed", recipe, str(out), str(single))
    assert done.returncode == 0, done.stderr[-3000:]
    saved = list(out.glob("stages/02-instruct/checkpoints/*"))
    assert [path.name for path in saved] == ["checkpoint-2"]
    states = load_file(saved[0] / "random.safetensors")
    assert sorted(states) == ["cpu.0", "cpu.1"]
    arguments = ("train", recipe, "--out", str(out), "--data", str(single), "--resume")
    alone = CliRunner().invoke(app, arguments)
    assert "2 processes, this launch has 1" in str(alone.exception)
    done = launch(2, "geoprose.cli", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert _difference(out, single / "run") < 2e-5
    assert _losses(out) == pytest.approx(_losses(single / "run"), rel=1e-5)


if __name__ == "__main__":
    _child(Path(sys.argv[1])) if len(sys.argv) == 2 else _stopped(*sys.argv[1:])
