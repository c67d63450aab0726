"""Every loss that a stage may name: one line per group of losses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from geoprose.training.specs.loss_contrastive import ContrastiveLossSpec
from geoprose.training.specs.loss_dense import SegmentationLossSpec
from geoprose.training.specs.loss_distillation import (
    FeatureAlignmentLossSpec,
    GkdLossSpec,
    KdOfflineLossSpec,
    MiniLlmLossSpec,
    ReverseKlOnPolicyLossSpec,
)
from geoprose.training.specs.loss_generation import GenerationLossSpec
from geoprose.training.specs.loss_language import LexicalAlignmentSpec, LmLossSpec
from geoprose.training.specs.loss_preference import DpoLossSpec, KtoLossSpec, MpoLossSpec, RewardPairsSpec

LanguageLossSpec = LmLossSpec | LexicalAlignmentSpec
PreferenceLossSpec = DpoLossSpec | MpoLossSpec | KtoLossSpec | RewardPairsSpec
DistillationLossSpec = (
    KdOfflineLossSpec | GkdLossSpec | ReverseKlOnPolicyLossSpec | MiniLlmLossSpec | FeatureAlignmentLossSpec
)

LossSpec = Annotated[
    ContrastiveLossSpec
    | SegmentationLossSpec
    | DistillationLossSpec
    | GenerationLossSpec
    | LanguageLossSpec
    | PreferenceLossSpec,
    Field(discriminator="type"),
]
