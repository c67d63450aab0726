"""The transformers config of a dense head on two towers; generated from its spec, never edited by hand."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict

from geoprose.models.dual.config import TwoTowerConfig


@strict
class DenseConfig(TwoTowerConfig):
    """Two towers and the head that makes masks of their features.

    Attributes:
        embedding_dim: Width that both towers are projected to.
        layers: The four hidden states of the vision tower that the pyramid is made of.
        head: ``{"type": name, **options}``.
    """

    model_type = "geoprose_dense"

    embedding_dim: int = 512
    layers: list[int] | None = None
    head: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill the defaults of the parts."""
        super().__post_init__(**kwargs)
        self.layers = self.layers or [4, 6, 8, 12]
        self.head = {"type": "changeclip", **(self.head or {})}
