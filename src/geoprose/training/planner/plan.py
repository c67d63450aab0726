"""Plan a recipe: every stage's memory and hours on given accelerators. Start reading the planner here."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from geoprose.training.planner.arrange import find_arrangement
from geoprose.training.planner.duration import USUAL_MFU, Duration, Work, stage_duration
from geoprose.training.planner.facts import StageFacts, stage_facts
from geoprose.training.planner.gpus import GIB, Cluster
from geoprose.training.planner.memory import Arrangement, Memory
from geoprose.training.planner.workload import Workload
from geoprose.training.precision import DTYPES

if TYPE_CHECKING:
    from geoprose.training.specs.recipe import RecipeSpec
    from geoprose.training.specs.stage import StageSpec

BYTES_OF = {"fp32": 4, "fp16": 2, "bf16": 2}


@dataclass(frozen=True)
class PlanOptions:
    """What a plan rests on.

    Attributes:
        cluster: Accelerators.
        workload: What a sample is taken to be.
        mfu: Share of the peak that operations reach.
    """

    cluster: Cluster
    workload: Workload = field(default_factory=Workload)
    mfu: float = USUAL_MFU


@dataclass(frozen=True)
class StagePlan:
    """One stage on the accelerators.

    Attributes:
        facts: What it is.
        arrangement: How it is laid out.
        accumulation: Micro-batches of a step on each accelerator.
        memory: Peak of one accelerator.
        fits: Whether that is below its memory.
        duration: Time.
        cache_bytes: Disk that the cache of features takes.
        advice: What to change where it does not fit.
    """

    facts: StageFacts
    arrangement: Arrangement
    accumulation: int
    memory: Memory
    fits: bool
    duration: Duration
    cache_bytes: int
    advice: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        row = asdict(self.facts.row)
        return {
            "stage": self.facts.name,
            "trained": self.facts.trained,
            "trained_by_part": self.facts.trained_by_part,
            "row": row,
            "micro_batch": self.arrangement.rows,
            "accumulation": self.accumulation,
            "sharding": self.arrangement.sharding,
            "gradient_checkpointing": self.arrangement.checkpointing,
            "chunk_pairs": self.arrangement.chunk,
            "memory_bytes": {**asdict(self.memory), "total": self.memory.total},
            "fits": self.fits,
            **asdict(self.duration),
            "cache_bytes": self.cache_bytes,
            "advice": list(self.advice),
            "notes": list(self.facts.notes),
        }


def plan_stages(recipe: RecipeSpec, options: PlanOptions) -> list[StagePlan]:
    """Return the plan of every stage.

    Raises:
        ProcessingError: If a stage's system cannot be measured without data.
    """
    return [plan_stage(recipe, index, options) for index in range(len(recipe.stages))]


def plan_stage(recipe: RecipeSpec, index: int, options: PlanOptions) -> StagePlan:
    """Return the plan of one stage; ``batch_size * accumulation`` is what all accelerators take together."""
    stage, cluster = recipe.stages[index], options.cluster
    facts = stage_facts(recipe, index, options.workload)
    all_rows = stage.batch_size * stage.accumulation
    rows = max(1, math.ceil(all_rows / cluster.count))
    wanted = Arrangement(cluster.count, rows, recipe.sharding, stage.gradient_checkpointing)
    arrangement, memory, advice = find_arrangement(facts, cluster, rows, wanted)
    pictures = _pictures(stage, facts, options.workload)
    encoder = recipe.features.encoder_precision
    work = Work(stage.steps, rows * cluster.count, pictures, DTYPES["bf16" if encoder == "auto" else encoder])
    cache = pictures * facts.feature_numbers * BYTES_OF[recipe.features.dtype] if facts.cached else 0
    return StagePlan(
        facts=facts,
        arrangement=arrangement,
        accumulation=rows // arrangement.rows,
        memory=memory,
        fits=memory.total <= cluster.gpu.memory_gib * GIB,
        duration=stage_duration(facts, arrangement, cluster.gpu, work, options.mfu),
        cache_bytes=cache,
        advice=advice,
    )


def _pictures(stage: StageSpec, facts: StageFacts, workload: Workload) -> int:
    """Return how many different pictures the stage sees."""
    visits = stage.steps * stage.batch_size * stage.accumulation * facts.row.samples
    return math.ceil(min(visits, workload.samples or visits) * workload.pictures)
