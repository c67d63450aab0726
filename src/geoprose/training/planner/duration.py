"""Hours of a stage: operations over the share of the peak that training reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from geoprose.training.planner.facts import StageFacts
    from geoprose.training.planner.gpus import Gpu
    from geoprose.training.planner.memory import Arrangement
    from geoprose.training.planner.trace import Piece

USUAL_MFU = 0.4
"""Share of the peak that operations reach; published runs of models of 7B lie between 0.35 and 0.55 on A100. Talk
between accelerators, waiting for data and the optimiser's step are inside it."""


@dataclass(frozen=True)
class Duration:
    """Time of a stage.

    Attributes:
        row_flops: Operations of one row, forward, backward and what is computed again.
        step_seconds: One optimiser step.
        hours: All steps.
        cache_hours: Computing the features of the frozen encoder once, on one accelerator, before the first step.
    """

    row_flops: int
    step_seconds: float
    hours: float
    cache_hours: float


def row_operations(facts: StageFacts, arrangement: Arrangement) -> dict[torch.dtype, float]:
    """Return the operations of one row by the format that they run in."""
    operations: dict[torch.dtype, float] = {}
    for name, piece in facts.pieces.items():
        if facts.cached and name in ("vision_encoder", "vision"):
            continue
        again = piece.forward if _is_run_twice(name, piece, arrangement) else 0
        cost = facts.runs(name, arrangement.rows) / arrangement.rows * (piece.forward + piece.backward + again)
        operations[piece.dtype] = operations.get(piece.dtype, 0.0) + cost
    for piece in facts.teacher:
        operations[piece.dtype] = operations.get(piece.dtype, 0.0) + piece.forward
    return operations


@dataclass(frozen=True)
class Work:
    """How much a stage does.

    Attributes:
        steps: Optimiser steps.
        rows: Rows of a step, over all accelerators.
        pictures: Different pictures, which the cache of features holds.
        encoder_dtype: Format in which the frozen encoder computes them.
    """

    steps: int
    rows: int
    pictures: int
    encoder_dtype: torch.dtype = torch.float32


def stage_duration(facts: StageFacts, arrangement: Arrangement, gpu: Gpu, work: Work, mfu: float) -> Duration:
    """Return how long a stage takes.

    Args:
        facts: The stage.
        arrangement: How it is laid out.
        gpu: What it runs on.
        work: How much there is to do.
        mfu: Share of the peak that is reached.
    """
    operations = row_operations(facts, arrangement)
    seconds = sum(cost / _peak(gpu, dtype) for dtype, cost in operations.items()) / mfu
    step = seconds * work.rows / arrangement.processes
    encoder = facts.pieces.get("vision_encoder", facts.pieces.get("vision"))
    cache = 0.0
    if facts.cached and encoder is not None:
        cache = work.pictures * encoder.forward / (_peak(gpu, work.encoder_dtype) * mfu) / 3600
    return Duration(int(sum(operations.values())), step, work.steps * step / 3600, cache)


def _is_run_twice(name: str, piece: Piece, arrangement: Arrangement) -> bool:
    checkpointed = arrangement.checkpointing and piece.blocks > 1
    chunked = arrangement.chunk > 0 and name in ("vision", "text")
    return piece.has_gradient and (checkpointed or chunked)


def _peak(gpu: Gpu, dtype: torch.dtype) -> float:
    return 1e12 * (gpu.bf16_tflops if dtype in (torch.bfloat16, torch.float16) else gpu.fp32_tflops)
