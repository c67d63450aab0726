"""Several processes that train as one; everything here does nothing when there is only one.

Launchers (torchrun, accelerate launch, Ray Train) say through ``RANK``, ``LOCAL_RANK`` and ``WORLD_SIZE`` who is who.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIMEOUT = timedelta(hours=12)  # the others wait while the first process encodes all pictures


@contextmanager
def process_group() -> Iterator[None]:
    """Join the other processes of the launch while the block runs; a group that exists already is left as it is."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    from accelerate.state import PartialState

    # Contract: Trainer finds this state and joins nothing itself.
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=TIMEOUT)
    yield
    # Why not in `finally`: a process that failed must not wait for the others; the launcher ends them.
    state.destroy_process_group()
    PartialState._reset_state()


def world_size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process among them."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main() -> bool:
    """Tell whether this process writes the run's folder."""
    return rank() == 0


def device() -> torch.device:
    """Return what this process computes on."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def barrier() -> None:
    """Wait for all processes."""
    if world_size() > 1:
        dist.barrier()


@contextmanager
def main_first() -> Iterator[None]:
    """Run the block in the first process, then in all others, which find on disk what the first one wrote.

    The first process meanwhile has the threads of all processes of its machine, which wait.
    """
    threads = torch.get_num_threads()
    if is_main():
        torch.set_num_threads(threads * _local_world_size())
    else:
        barrier()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
    if is_main():
        barrier()


def _local_world_size() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world_size() > 1 else 1


def sum_over_ranks(values: Sequence[float]) -> list[float]:
    """Return the sums of numbers over all processes, in float64."""
    if world_size() == 1:
        return [float(value) for value in values]
    total = torch.tensor([float(value) for value in values], dtype=torch.float64, device=device())
    dist.all_reduce(total)
    return [float(value) for value in total.tolist()]


def any_rank(flag: bool) -> bool:
    """Tell whether the flag is set in any process."""
    return largest_of_ranks(int(flag)) > 0


def largest_of_ranks(value: int) -> int:
    """Return the largest of a number of all processes."""
    if world_size() == 1:
        return value
    largest = torch.tensor(value, device=device())
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return int(largest)


def gather_plain(tensor: Tensor) -> list[Tensor]:
    """Return the tensors of all processes, which must have one shape; no gradient flows."""
    if world_size() == 1:
        return [tensor]
    local = tensor.detach().to(device()).contiguous()
    parts = [torch.empty_like(local) for _ in range(world_size())]
    dist.all_gather(parts, local)
    return [part.to(tensor.device) for part in parts]


def gather_with_grad(tensor: Tensor) -> Tensor:
    """Return the rows of all processes in order of rank; the gradient finds its way back to the process it is about.

    The loss of a process is the sum over its own rows against the rows of all. Gradients then add up over processes
    to the gradient of the loss of the joined batch (the trainer undoes the mean that data-parallel training takes).

    Args:
        tensor: (n, ...); ``n`` may differ between processes, the rest may not.

    Returns:
        (sum of n, ...), with this process's rows at ``first_row``; ``tensor`` itself in a single process.

    Source:
        OpenAI CLIP gathers features over all devices (arXiv:2103.00020, section 2.4); open_clip ``gather_features``
        with ``gather_with_grad``.
    """
    gathered: Tensor = tensor if world_size() == 1 else _Gather.apply(tensor)  # type: ignore[no-untyped-call]
    return gathered


def first_row(num_rows: int) -> int:
    """Return where this process's rows begin in what ``gather_with_grad`` returns."""
    return sum(_counts(num_rows)[: rank()])


def _counts(num_rows: int) -> list[int]:
    return [int(count) for count in gather_plain(torch.tensor([num_rows]))]


class _Gather(torch.autograd.Function):
    """All rows forward; backward the sum over processes of the gradient of this process's rows."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        counts = _counts(len(tensor))
        ctx.counts = counts
        padded = tensor.new_zeros(max(counts), *tensor.shape[1:])
        padded[: len(tensor)] = tensor
        return torch.cat([part[:count] for part, count in zip(gather_plain(padded), counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = sum(ctx.counts[: rank()])
        return total[start : start + ctx.counts[rank()]]


class RankShare(Dataset[Any]):
    """The micro-batches of this process: local item ``i`` is ``i * world_size + rank`` of all.

    So N processes that accumulate ``a`` micro-batches take the very optimiser steps of one process that accumulates
    ``N * a``.

    Args:
        batches: All micro-batches; item k is a pure function of k.
        num_local: Micro-batches of one process.
    """

    def __init__(self, batches: Dataset[Any], num_local: int) -> None:
        self.batches = batches
        self.num_local = num_local
        self._rank, self._world_size = rank(), world_size()  # Why not later: a loader's worker has no process group

    def __len__(self) -> int:
        """Return the micro-batches of this process."""
        return self.num_local

    def __getitem__(self, index: int) -> Any:
        """Return local micro-batch ``index``."""
        if not 0 <= index < self.num_local:
            raise IndexError(index)
        return self.batches[index * self._world_size + self._rank]
