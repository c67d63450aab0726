"""Bytes of one accelerator while a stage trains."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from geoprose.training.planner.facts import StageFacts
    from geoprose.training.planner.trace import Piece

TRAINED_BYTES = 4
"""What trains is kept in float32, its gradient too."""
MOMENT_BYTES = 8
"""AdamW's two moments."""
RUNTIME_BYTES = int(0.8 * 2**30)
"""The driver's context and the libraries' workspaces; an assumption."""
FRAGMENTATION = 0.05
"""Share of the rest that the allocator cannot use; an assumption."""

Sharding = Literal["none", "full", "zero3"]


@dataclass(frozen=True)
class Memory:
    """Bytes of one accelerator at the peak of a step.

    Attributes:
        weights: Frozen and trained, and with sharding two layers gathered at a time.
        gradients: Of what trains.
        optimiser: Moments of AdamW.
        activations: What the forward pass keeps, and one layer's own while it is undone.
        logits: Of the answer tokens, with their gradient; similarities of the pairs of a batch.
        teacher: Weights, and logits of the same tokens.
        runtime: Driver, libraries, fragmentation.
    """

    weights: int = 0
    gradients: int = 0
    optimiser: int = 0
    activations: int = 0
    logits: int = 0
    teacher: int = 0
    runtime: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, item.name) for item in fields(self))


@dataclass(frozen=True)
class Arrangement:
    """How a stage is laid out.

    Attributes:
        processes: Accelerators.
        rows: Rows of a micro-batch on each.
        sharding: ``full`` and ``zero3``: weights, gradients and moments are split over the accelerators.
        checkpointing: Layers keep their input only and are computed again in the backward pass.
        chunk: Pairs embedded at a time, for losses that compare the pairs of a batch; 0: all.
    """

    processes: int = 1
    rows: int = 1
    sharding: Sharding = "none"
    checkpointing: bool = False
    chunk: int = 0


def stage_memory(facts: StageFacts, arrangement: Arrangement, with_runtime: bool = True) -> Memory:
    """Return what one accelerator holds at the peak of a step, the start of its last backward pass.

    Gradients are counted whole: micro-batches before the last one have left them, and data-parallel training keeps
    them in its buckets.
    """
    split = 1 if arrangement.sharding == "none" else arrangement.processes
    weights = (facts.frozen_bytes + TRAINED_BYTES * facts.trained) // split
    if split > 1:
        weights += 2 * facts.block_bytes
    elif not arrangement.checkpointing:  # else only one layer's copies live at a time
        weights += facts.copied_bytes
    at_once = min(arrangement.rows, arrangement.chunk or arrangement.rows)
    flowing = {name: piece for name, piece in facts.pieces.items() if piece.has_gradient and name != "head"}
    activations = sum(facts.runs(name, at_once) * kept(piece, arrangement) for name, piece in flowing.items())
    activations += max((facts.runs(name, at_once) * piece.block_bytes for name, piece in flowing.items()), default=0)
    logits = arrangement.rows * logit_bytes(facts.pieces["head"]) if "head" in facts.pieces else 0
    logits += facts.pair_bytes * arrangement.rows * arrangement.rows * arrangement.processes
    teacher = facts.teacher_bytes // split
    if facts.teacher:
        teacher += arrangement.rows * logit_bytes(facts.pieces["head"])
    held = Memory(
        weights,
        TRAINED_BYTES * facts.trained // split,
        MOMENT_BYTES * facts.trained // split,
        int(activations),
        int(logits),
        int(teacher),
    )
    if not with_runtime:
        return held
    return Memory(**{**vars(held), "runtime": RUNTIME_BYTES + int(FRAGMENTATION * held.total)})


def kept(piece: Piece, arrangement: Arrangement) -> float:
    """Return the bytes that a part keeps for the backward pass of one row or picture."""
    if arrangement.checkpointing and piece.blocks > 1:
        return min(piece.kept_bytes, piece.blocks * piece.input_bytes)
    return piece.kept_bytes


def logit_bytes(head: Piece) -> int:
    """Return the bytes of the logits of a row: what the loss keeps, and the gradient of the same size."""
    return 2 * head.kept_bytes
