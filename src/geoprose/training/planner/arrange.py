"""Find a layout that fits, and say what to change where none does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from geoprose.training.planner.gpus import GIB
from geoprose.training.planner.memory import MOMENT_BYTES, TRAINED_BYTES, Arrangement, Memory, stage_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoprose.training.planner.facts import StageFacts
    from geoprose.training.planner.gpus import Cluster
    from geoprose.training.planner.memory import Sharding

MOST_PROCESSES = 4096


def find_arrangement(
    facts: StageFacts, cluster: Cluster, rows: int, wanted: Arrangement
) -> tuple[Arrangement, Memory, tuple[str, ...]]:
    """Return the layout with the largest micro-batch that fits, its memory, and advice.

    Args:
        facts: The stage.
        cluster: What it runs on.
        rows: Rows of an optimiser step on each accelerator.
        wanted: Sharding and checkpointing of the recipe, and the largest micro-batch that it allows.

    Returns:
        The wanted settings with fewer rows where they fit so; else the settings that were wanted with one row, and
        what would make it fit.
    """
    limit = cluster.gpu.memory_gib * GIB
    for arrangement in _smaller(facts, wanted, rows):
        memory = stage_memory(facts, arrangement)
        if memory.total <= limit:
            return arrangement, memory, ()
    smallest = list(_smaller(facts, wanted, rows))[-1]
    return smallest, stage_memory(facts, smallest), tuple(_advice(facts, cluster, smallest))


def divisors(number: int) -> list[int]:
    """Return the divisors, largest first."""
    low = [candidate for candidate in range(1, int(number**0.5) + 1) if number % candidate == 0]
    return sorted({*low, *(number // candidate for candidate in low)}, reverse=True)


def _smaller(facts: StageFacts, wanted: Arrangement, rows: int) -> Iterator[Arrangement]:
    """Yield layouts of falling memory: fewer rows at a time, or smaller chunks where a batch must not be divided."""
    if facts.pair_bytes:
        yield replace(wanted, rows=rows)
        for chunk in divisors(rows)[1:]:
            yield replace(wanted, rows=rows, chunk=chunk)
        return
    for count in divisors(rows):
        if count <= wanted.rows:
            yield replace(wanted, rows=count)


def _advice(facts: StageFacts, cluster: Cluster, smallest: Arrangement) -> Iterator[str]:
    limit = cluster.gpu.memory_gib * GIB
    changes: list[tuple[str, Arrangement]] = []
    if not smallest.checkpointing:
        changes.append(("gradient_checkpointing: true", replace(smallest, checkpointing=True)))
    if smallest.sharding == "none" and smallest.processes > 1:
        changes.append(("sharding: full", replace(smallest, sharding="full")))
        if not smallest.checkpointing:
            both = replace(smallest, checkpointing=True, sharding="full")
            changes.append(("sharding: full and gradient_checkpointing: true", both))
    for words, arrangement in changes:
        needed = stage_memory(facts, arrangement).total
        yield f"{words} needs {needed / GIB:.1f} GiB" + (", which fits" if needed <= limit else ", still too much")
    more = _enough_processes(facts, limit, smallest)
    if more is not None and more > smallest.processes:
        yield f"{more} of {cluster.gpu.name} with sharding: full and gradient_checkpointing: true would fit"
    states = (2 * TRAINED_BYTES + MOMENT_BYTES) * facts.trained
    if states > limit / 2:
        yield (
            f"what trains takes {states / GIB:.0f} GiB with its gradients and moments; a lora in place of the language "
            "model's globs takes about a hundredth"
        )


def _enough_processes(facts: StageFacts, limit: float, smallest: Arrangement) -> int | None:
    processes = max(2, smallest.processes)
    while processes <= MOST_PROCESSES:
        sharding: Sharding = "full"
        arrangement = replace(smallest, processes=processes, sharding=sharding, checkpointing=True)
        if stage_memory(facts, arrangement).total <= limit:
            return processes
        processes *= 2
    return None
