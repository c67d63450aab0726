"""The transformers config of a dense head on two towers; generated from its spec, never edited by hand."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


@strict
class DenseConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Two towers and the head that makes masks of their features.

    Attributes:
        vision_config: Config of the vision tower's transformers model.
        text_config: Config of the text tower's transformers model.
        vision: ``{"type": name, "pooling": ...}``.
        text: Likewise.
        embedding_dim: Width that both towers are projected to.
        layers: The four hidden states of the vision tower that the pyramid is made of.
        head: ``{"type": name, **options}``.
        system: The whole spec as JSON values, for provenance.
    """

    model_type = "geoprose_dense"
    sub_configs_defaults = {  # noqa: RUF012 - the form is the contract of transformers
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_text_model"),
    }

    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    text_config: dict[str, Any] | PreTrainedConfig | None = None
    vision: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    embedding_dim: int = 512
    layers: list[int] | None = None
    head: dict[str, Any] | None = None
    system: dict[str, Any] | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill the defaults of the parts."""
        super().__post_init__(**kwargs)
        self.vision = {"type": "clip", **(self.vision or {})}
        self.text = {"type": "clip_text", **(self.text or {})}
        self.layers = self.layers or [4, 6, 8, 12]
        self.head = {"type": "changeclip", **(self.head or {})}
