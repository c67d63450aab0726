"""A recipe is data: stages in order, each saying what trains, on what, with which losses, for how many steps."""

from __future__ import annotations

import zlib
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from geoprose.core.spec import Spec

Precision = Literal["fp32", "bf16"]
StagePrecision = Literal["fp32", "bf16", "auto"]


class LoraSpec(Spec):
    """Low-rank adapters, merged into the weights when the stage ends (arXiv:2106.09685)."""

    rank: PositiveInt = 16
    alpha: PositiveFloat = 32.0
    """Scale of the update is alpha / rank."""
    dropout: NonNegativeFloat = 0.0
    init: Literal["kaiming", "normal"] = "kaiming"
    """Start of A: uniform as in the reference code (deviation sqrt(1/3n) for n inputs), or normal with sqrt(1/n)."""
    targets: tuple[str, ...] = ("q_proj", "v_proj", "o_proj", "down_proj")
    """Names of the linear layers that get adapters."""
    within: str = "language_model"
    """Sub-module of the backbone whose layers are adapted."""


class LmLossSpec(Spec):
    """Cross-entropy of the answer tokens; the logits exist only at answer positions."""

    type: Literal["lm"] = "lm"
    weight: PositiveFloat = 1.0

    @property
    def label(self) -> str:
        """Name in logs and checkpoints."""
        return self.type


class LexicalAlignmentSpec(Spec):
    """Draw visual tokens to the word embeddings of what lies below them."""

    type: Literal["lexical_alignment"] = "lexical_alignment"
    weight: PositiveFloat = 1.0
    supervision: Literal["cells", "captions"] = "cells"
    """``cells``: ``meta["cell_composition"]`` (dense). ``captions``: words of the answers (multiple-instance)."""
    distance: Literal["mse", "cosine"] = "cosine"
    """How far a token is from its target (``cells`` only)."""
    readout_weight: NonNegativeFloat = 0.0
    """Weight of a second term: the shares of the classes must be readable along the directions of the class words,
    through a learnt scale and a learnt bias a class that are thrown away afterwards (``cells`` only)."""
    readout_start: PositiveFloat = 0.4
    """First value of that scale; a large one makes the two terms fight."""
    words: dict[str, str] = Field(default_factory=dict)
    """Class name to the word that stands for it; a class that is not listed stands for itself. With ``captions`` the
    values are the vocabulary; empty: every word of the training captions with at least four letters."""
    temperature: PositiveFloat = 0.1
    """Sharpness of the pooling over tokens and of the softmax over words (``captions`` only)."""

    @property
    def label(self) -> str:
        """Name in logs and checkpoints; a stage may use both kinds of supervision."""
        return f"{self.type}_{self.supervision}" if self.supervision == "captions" else self.type


LossSpec = Annotated[LmLossSpec | LexicalAlignmentSpec, Field(discriminator="type")]


class InputStatisticsSpec(Spec):
    """Give the connector the mean and deviation of the TRAIN features (connector with ``input_norm: standardise``)."""

    type: Literal["input_statistics"] = "input_statistics"


class DirectionWordsSpec(Spec):
    """Start the connector's position vectors from the words for the place of each cell of the grid."""

    type: Literal["direction_words"] = "direction_words"
    vertical: tuple[str, ...] = ("north", "south")
    """Words along the rows of the grid, first row to last; interpolated, centred."""
    horizontal: tuple[str, ...] = ("west", "east")
    """Words along the columns, first column to last."""
    tokens: tuple[tuple[str, ...], ...] = ()
    """Instead of the grid: the words of each position vector, whose mean embedding it starts from."""
    scale: PositiveFloat = 1.0
    """Multiplies the embeddings."""
    token_scales: dict[int, PositiveFloat] = Field(default_factory=dict)
    """Index of a token to another scale, with ``tokens``."""


class WordSpanSpec(Spec):
    """Start linear layers of the connector inside the span of words, so that nothing orthogonal must be unlearnt.

    For the embeddings ``E`` (C, D) and the deviation ``s`` of all embeddings: weight ``gain E^T R / (s sqrt(n))`` with
    ``R`` normal (C, n inputs), bias ``bias_share mean(E) / s``.
    """

    type: Literal["word_span"] = "word_span"
    words: tuple[str, ...]
    layers: dict[str, PositiveFloat]
    """Name of the layer below ``connector`` to its gain; all take the same ``R``."""
    bias_share: NonNegativeFloat = 0.3


PrepareSpec = Annotated[InputStatisticsSpec | DirectionWordsSpec | WordSpanSpec, Field(discriminator="type")]


class SourceSpec(Spec):
    """One file of samples and how much of it an epoch takes."""

    path: str
    """Records file, relative to the data directory (neutral JSONL)."""
    weight: PositiveFloat = 1.0
    """Fraction of the source that one epoch visits: 0.5 half of it, 2 everything twice."""
    share: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Instead of ``weight``: share of an epoch's rows that come from this source; the others keep their weights."""
    tasks: tuple[str, ...] = ()
    """Keep only these question types; empty keeps all."""
    limit: PositiveInt | None = None
    """Keep only the first so many samples."""
    min_images: PositiveInt | None = None
    """Keep only samples with at least so many images."""
    max_images: PositiveInt | None = None
    """Keep only samples with at most so many images."""
    draw: Literal["in_order", "uniform", "weighted"] = "in_order"
    """With ``packing: shared_prefix``, an image's answers at each visit: in file order, shuffled, or drawn without
    replacement by ``meta["weight"]`` (1 where absent) times ``task_weights``. ``max_row_tokens`` and
    ``answers_per_image`` cut the order."""
    task_weights: dict[str, PositiveFloat] = Field(default_factory=dict)
    answers_per_image: PositiveInt | None = None
    """Take so many answers of an image at a visit; None takes all."""


class ScheduleSpec(Spec):
    """Learning-rate curve over the steps of the stage."""

    kind: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_steps: NonNegativeInt = 0
    """Step t (from 0) runs at min(1, (t + 1) / warmup_steps) of the curve, which spans all steps."""
    final_fraction: NonNegativeFloat = 0.0
    """Share of the rate that is left at the end."""


class OptimiserSpec(Spec):
    """AdamW (arXiv:1711.05101)."""

    beta1: NonNegativeFloat = 0.9
    beta2: NonNegativeFloat = 0.999
    epsilon: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    """Applied to what ``decay`` says."""
    decay: Literal["matrices", "all"] = "matrices"
    max_grad_norm: NonNegativeFloat = 1.0
    """Global norm that gradients are clipped to; 0 turns clipping off."""


class StageSpec(Spec):
    """One entry of the schedule. Budgets are in steps, so a slower machine trains the same model."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    trainable: tuple[str, ...] = ()
    """Globs over parameter names below the backbone, e.g. ``connector.*``; each must match something. A leading ``!``
    takes away again what a glob matches."""
    lora: LoraSpec | None = None
    losses: tuple[LossSpec, ...] = (LmLossSpec(),)
    data: tuple[SourceSpec, ...]
    prepare: tuple[PrepareSpec, ...] = ()
    """Initialisations applied when the stage starts."""
    steps: PositiveInt
    """Optimiser steps."""
    batch_size: PositiveInt = 8
    """Rows of a micro-batch: samples, or images with ``packing: shared_prefix``."""
    accumulation: PositiveInt = 1
    """Micro-batches of an optimiser step."""
    packing: Literal["none", "shared_prefix", "length_grouped"] = "none"
    max_row_tokens: PositiveInt | None = None
    """With ``shared_prefix``: answers that would make the row longer are left out of it."""
    join_rows: bool = False
    """Lay the rows of a micro-batch behind each other in one sequence, masked from each other: no padding."""
    end_token_share: NonNegativeFloat = Field(default=1.0, le=1.0)
    """Share of one-token answers that also train the end-of-turn token; it is easily learnt, and each costs a token."""
    learning_rate: PositiveFloat
    learning_rates: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Glob to rate, for parameters that need another one; the first glob that matches wins."""
    schedule: ScheduleSpec = ScheduleSpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    precision: StagePrecision = "fp32"
    """``bf16``: frozen weights are rounded to bfloat16; what trains stays in float32. ``auto``: bf16 where the machine
    multiplies it in hardware, else fp32; the run record holds what was chosen."""
    gradient_checkpointing: bool = False
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
        labels = [loss.label for loss in self.losses]
        if len(set(labels)) != len(labels):
            raise ValueError("each loss may be given once")
        return self


class FeatureSpec(Spec):
    """How frozen-encoder outputs are cached."""

    dtype: Literal["bf16", "fp16", "fp32"] = "fp16"
    """Format on disk; half precision keeps three digits more than the encoder's own bf16 rounding."""
    encoder_precision: StagePrecision = "fp32"
    batch_size: PositiveInt = 64
    shard_images: PositiveInt = 1024
    cache: Literal["user", "run"] = "user"
    """``user``: shared by all runs of this machine; ``run``: inside the run's folder."""


class ImagePolicySpec(Spec):
    """What happens when an image of the data cannot be read."""

    max_unreadable_fraction: NonNegativeFloat = 0.01
    """Unreadable images are skipped, counted and named; above this share of the images the run stops."""


class RecipeSpec(Spec):
    """A whole training run."""

    name: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$")
    description: str = ""
    source: str = ""
    """Where the schedule comes from."""
    verified: str = ""
    """Test or run that proves it."""
    system: str
    """System preset or directory that training starts from."""
    scale: Literal["full", "tiny"] = "full"
    stages: tuple[StageSpec, ...] = Field(min_length=1)
    seed: NonNegativeInt = 0
    images: Literal["real", "blank"] = "real"
    """``blank``: every image's features are replaced by zeros, which trains a blind system."""
    features: FeatureSpec = FeatureSpec()
    image_policy: ImagePolicySpec = ImagePolicySpec()
    keep_checkpoints: PositiveInt = 2
    data_dir: str = ""
    """Folder that the sources' paths are relative to; ``--data`` overrides it."""
    save_dtype: Precision = "fp32"
    num_threads: PositiveInt | None = None
    """Threads of the arithmetic; None leaves torch's choice. Sums of two thread counts may differ in the last bit."""

    @model_validator(mode="after")
    def _check(self) -> RecipeSpec:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError("stage names must differ")
        return self

    def stage_seed(self, index: int) -> int:
        """Return the seed of stage ``index``; it depends on the stage's name, not on how many stages come before."""
        stage = self.stages[index]
        return self.seed * 1000 + zlib.crc32(stage.name.encode()) % 1000 if stage.seed is None else stage.seed
