"""Memory of made-up stages, computed by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from geoprose.training.planner.arrange import divisors, find_arrangement
from geoprose.training.planner.duration import Work, row_operations, stage_duration
from geoprose.training.planner.facts import StageFacts
from geoprose.training.planner.gpus import GIB, Cluster, Gpu
from geoprose.training.planner.memory import Arrangement, stage_memory
from geoprose.training.planner.trace import Piece
from geoprose.training.planner.workload import RowShape

FP32 = torch.float32
ENCODER = Piece(100, 0, 0, 2, 10, FP32)
READER = Piece(1000, 2000, 800, 4, 50, torch.bfloat16)
HEAD = Piece(10, 20, 30, 1, 5, torch.bfloat16)
FACTS = StageFacts(
    name="s",
    trained=1000,
    trained_by_part={"language_model": 1000},
    frozen_bytes=400,
    block_bytes=70,
    row=RowShape(64, 8, 3.0, 1.0),
    pieces={"vision_encoder": ENCODER, "language_model": READER, "head": HEAD},
    per_picture=frozenset({"vision_encoder"}),
    cached=True,
    feature_numbers=12,
)


def test_parts_of_the_memory() -> None:
    memory = stage_memory(FACTS, Arrangement(rows=2), with_runtime=False)
    assert (memory.weights, memory.gradients, memory.optimiser) == (400 + 4000, 4000, 8000)
    assert memory.activations == 2 * 800 + 2 * 200  # what is kept, and the layer that is being undone
    assert memory.logits == 2 * 2 * 30
    assert memory.total == sum(vars(memory).values())


def test_sharding_splits_states_and_gathers_two_layers() -> None:
    memory = stage_memory(FACTS, Arrangement(processes=4, rows=2, sharding="full"), with_runtime=False)
    assert (memory.weights, memory.gradients, memory.optimiser) == (4400 // 4 + 140, 1000, 2000)


def test_checkpointing_keeps_the_inputs_of_layers() -> None:
    memory = stage_memory(FACTS, Arrangement(rows=1, checkpointing=True), with_runtime=False)
    assert memory.activations == 4 * 50 + 200
    plain, again = (sum(row_operations(FACTS, Arrangement(checkpointing=c)).values()) for c in (False, True))
    assert again - plain == 1000


def test_pairs_cost_with_every_other_pair_of_the_batch() -> None:
    facts = dataclasses.replace(FACTS, pair_bytes=12)
    memory = stage_memory(facts, Arrangement(processes=2, rows=5), with_runtime=False)
    assert memory.logits == 2 * 5 * 30 + 12 * 5 * 10
    chunked = stage_memory(facts, Arrangement(rows=5, chunk=1), with_runtime=False)
    assert chunked.activations == 800 + 200


def test_cached_features_cost_time_once() -> None:
    gpu = Gpu("X", 1.0, 2.0, 1.0, 1.0, "made up")
    work = Work(steps=10, rows=8, pictures=36, encoder_dtype=FP32)
    duration = stage_duration(FACTS, Arrangement(processes=4, rows=2), gpu, work, mfu=0.5)
    assert duration.row_flops == 3000 + 30
    assert duration.step_seconds == pytest.approx(3030 / 2e12 / 0.5 * 8 / 4)
    assert duration.hours == pytest.approx(10 * duration.step_seconds / 3600)
    assert duration.cache_hours == pytest.approx(36 * 100 / 1e12 / 0.5 / 3600)
    live = dataclasses.replace(FACTS, cached=False)
    assert stage_duration(live, Arrangement(), gpu, work, mfu=0.5).row_flops == 3000 + 30 + 3 * 100


def test_rows_shrink_until_they_fit_and_advice_follows() -> None:
    needed = [stage_memory(FACTS, Arrangement(rows=rows)).total for rows in (6, 3)]
    between = Gpu("X", (needed[0] + needed[1]) / 2 / GIB, 2.0, 1.0, 1.0, "made up")
    arrangement, memory, advice = find_arrangement(FACTS, Cluster(1, between), 6, Arrangement(rows=6))
    assert (arrangement.rows, memory.total, advice) == (3, needed[1], ())
    big = dataclasses.replace(FACTS, trained=10**9)
    small = Cluster(4, Gpu("X", 8.0, 2.0, 1.0, 1.0, "made up"))
    arrangement, memory, advice = find_arrangement(big, small, 6, Arrangement(processes=4, rows=6))
    assert arrangement.rows == 1
    assert memory.total > 8 * GIB
    assert any("sharding: full needs" in line and "which fits" in line for line in advice)
    assert any("a lora" in line for line in advice)


def test_divisors() -> None:
    assert divisors(12) == [12, 6, 4, 3, 2, 1]
    assert divisors(1) == [1]
