"""Every loss that a stage may name: one line per group of losses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from geoprose.training.specs.loss_language import LexicalAlignmentSpec, LmLossSpec

LanguageLossSpec = LmLossSpec | LexicalAlignmentSpec

LossSpec = Annotated[LanguageLossSpec, Field(discriminator="type")]
