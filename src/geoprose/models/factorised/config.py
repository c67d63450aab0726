"""The transformers config of a factorised encoder; generated from its spec, never edited by hand."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class FactorisedConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Spatial encoders, what fuses them, and what the place adds.

    Attributes:
        modalities: Name to ``{"model_type": ..., "config": {...}, "upscale": int}``.
        fusion: ``{"input_dim", "width", "num_layers", "num_heads"}``.
        calendar_days: Rows of the table of days.
        geo_context: ``{"num_regions", "num_prototypes", ...}``; None for none.
        system: The whole spec as JSON values, for provenance.
    """

    model_type = "geoprose_factorised"

    modalities: dict[str, Any] | None = None
    fusion: dict[str, Any] | None = None
    calendar_days: int = 365
    geo_context: dict[str, Any] | None = None
    system: dict[str, Any] | None = None
    tie_word_embeddings: bool = False
