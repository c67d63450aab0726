"""One stage of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from geoprose.core.spec import Spec
from geoprose.core.spec_paths import Place
from geoprose.training.specs.data import SourceSpec
from geoprose.training.specs.lora import LoraSpec
from geoprose.training.specs.loss_language import LmLossSpec
from geoprose.training.specs.losses import LossSpec
from geoprose.training.specs.prepare import PrepareSpec
from geoprose.training.specs.rewards import PolicySpec
from geoprose.training.specs.schedule import OptimiserSpec, ScheduleSpec, StagePrecision


class StageSpec(Spec):
    """One entry of the schedule. Budgets are in steps, so a slower machine trains the same model."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    trainable: tuple[str, ...] = ()
    """Globs over parameter names below the backbone, e.g. ``connector.*``; each must match something. A leading ``!``
    takes away again what a glob matches."""
    init_from: Place = ""
    """Folder that the weights are taken from when the stage starts: a saved system, a finished run, or a finished stage
    of one (only what that stage trained). Every name and shape must fit."""
    lora: LoraSpec | None = None
    losses: tuple[LossSpec, ...] = (LmLossSpec(),)
    policy: PolicySpec | None = None
    """Instead of losses: sample answers and learn from their rewards."""
    data: tuple[SourceSpec, ...]
    mixing_temperature: PositiveFloat | None = Field(default=None, ge=1.0)
    """Visit sources in proportion to (rows, at most ``cap``) ** (1 / temperature) instead of by weight: 1 by size, 2 by
    its square root (InstructBLIP), a large one all alike (T5, arXiv:1910.10683 section 3.5.2). An epoch has as many
    rows as the sources together, each counted up to its cap."""
    prepare: tuple[PrepareSpec, ...] = ()
    """Initialisations applied when the stage starts."""
    steps: PositiveInt
    """Optimiser steps."""
    batch_size: PositiveInt = 8
    """Rows of a micro-batch: samples, or images with ``packing: shared_prefix``."""
    accumulation: PositiveInt = 1
    """Micro-batches of an optimiser step."""
    packing: Literal["none", "shared_prefix", "length_grouped", "packed"] = "none"
    """``shared_prefix``: all questions about a picture in one row that holds it once. ``length_grouped``: rows of
    similar length together. ``packed``: as many conversations as fit in rows of ``max_row_tokens``, isolated from each
    other; refused where the language model is found to mix them."""
    max_row_tokens: PositiveInt | None = None
    """With ``shared_prefix``: answers that would make the row longer are left out of it. With ``packed``: tokens of a
    row."""
    too_long: Literal["error", "skip", "truncate"] = "error"
    """What happens to a sample with more tokens than the language model's context, or than a packed row: refuse the run
    and name it, leave it out, or cut its end (never inside a picture; not with losses on preferences, whose pairs are
    too long where either answer is). What is left out or cut is counted."""
    join_rows: bool = False
    """Lay the rows of a micro-batch behind each other in one sequence, masked from each other: no padding."""
    end_token_share: NonNegativeFloat = Field(default=1.0, le=1.0)
    """Share of one-token answers that also train the end-of-turn token; it is easily learnt, and each costs a token."""
    learning_rate: PositiveFloat
    learning_rates: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Glob to rate, for parameters that need another one; the first glob that matches wins."""
    layer_decay: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Part below the backbone to the factor by which the rate falls from each layer to the one below it (BEiT,
    arXiv:2106.08254): ``{vision_encoder: 0.9}``."""
    schedule: ScheduleSpec = ScheduleSpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    precision: StagePrecision = "fp32"
    """``bf16``: frozen weights are rounded to bfloat16; what trains stays in float32. ``auto``: bf16 where the machine
    multiplies it in hardware, else fp32; the run record holds what was chosen."""
    gradient_checkpointing: bool = False
    """Compute the inside of every layer again in the backward pass instead of keeping it: same result, less memory."""
    num_workers: NonNegativeInt = 0
    """Processes that read and tokenise batches ahead; 0 does it in the training process. The batches are the same."""
    seed: NonNegativeInt | None = None
    """None: derived from the recipe's seed and the stage's name."""
    save_every: PositiveInt = 500
    log_every: PositiveInt = 10

    @model_validator(mode="after")
    def _check(self) -> StageSpec:
        if not self.trainable and self.lora is None:
            raise ValueError("nothing trains: give trainable globs or a lora")
        if not self.losses or not self.data:
            raise ValueError("a stage needs at least one loss and one data source")
        if all(source.share is not None for source in self.data) or sum(s.share or 0.0 for s in self.data) >= 1.0:
            raise ValueError("shares must leave a rest, and one data source without a share to fill it")
        if self.mixing_temperature is not None and any(s.weight != 1.0 or s.share is not None for s in self.data):
            raise ValueError("mixing_temperature sets how often each source is visited; leave weight and share out")
        if self.packing == "packed" and self.max_row_tokens is None:
            raise ValueError("packing: packed needs max_row_tokens, the tokens of a row")
        if self.policy is not None and self.losses != (LmLossSpec(),):
            raise ValueError("a stage with a policy learns from rewards; leave losses out")
        labels = [loss.label for loss in self.losses]
        if len(set(labels)) != len(labels):
            raise ValueError("each loss may be given once")
        return self
