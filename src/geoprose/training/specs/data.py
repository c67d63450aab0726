"""Where samples come from, how their pictures are encoded, and what happens to bad ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from geoprose.core.spec import Spec
from geoprose.core.spec_paths import PlaceInside
from geoprose.data.mixture import Draw
from geoprose.training.specs.schedule import StagePrecision


class SourceSpec(Spec):
    """One file of samples and how much of it an epoch takes."""

    path: PlaceInside
    """Records file, relative to the data directory (neutral JSONL)."""
    weight: PositiveFloat = 1.0
    """Fraction of the source that one epoch visits: 0.5 half of it, 2 everything twice."""
    share: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Instead of ``weight``: share of an epoch's rows that come from this source; the others keep their weights."""
    cap: PositiveInt | None = None
    """At most so many rows of an epoch come from this source; the others follow in later epochs."""
    tasks: tuple[str, ...] = ()
    """Keep only these question types; empty keeps all."""
    limit: PositiveInt | None = None
    """Keep only the first so many samples."""
    min_images: PositiveInt | None = None
    """Keep only samples with at least so many images."""
    max_images: PositiveInt | None = None
    """Keep only samples with at most so many images."""
    min_weight: PositiveFloat | None = None
    """Keep only images with a sample whose ``meta["weight"]`` is at least so much; of their samples, those that state
    less are left out, those that state none stay."""
    draw: Draw = "in_order"
    """With ``packing: shared_prefix``, an image's answers at each visit: in file order, shuffled, drawn without
    replacement by ``meta["weight"]`` (1 where absent) times ``task_weights``, or by that product, heaviest first.
    ``max_row_tokens`` and ``answers_per_image`` cut the order."""
    task_weights: dict[str, PositiveFloat] = Field(default_factory=dict)
    answers_per_image: PositiveInt | None = None
    """Take so many answers of an image at a visit; None takes all."""


class FeatureSpec(Spec):
    """How frozen-encoder outputs are cached."""

    dtype: Literal["bf16", "fp16", "fp32"] = "fp16"
    """Format on disk; half precision keeps three digits more than the encoder's own bf16 rounding."""
    encoder_precision: StagePrecision = "fp32"
    batch_size: PositiveInt = 64
    shard_images: PositiveInt = 1024
    cache: Literal["user", "run", "none"] = "user"
    """``user``: shared by all runs of this machine; ``run``: inside the run's folder; ``none``: pictures are encoded in
    every step, for data whose features would fill the disk (`geoprose plan` says how much they are)."""


class ImagePolicySpec(Spec):
    """What happens when an image of the data cannot be read."""

    max_unreadable_fraction: NonNegativeFloat = 0.01
    """Unreadable images are skipped, counted and named; above this share of the images the run stops."""
