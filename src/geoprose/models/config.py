"""The transformers config of a composed system.

Generated from a system spec by geoprose.systems and never edited by hand: the spec is what is validated.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from geoprose.models import own_configs as _own_configs  # noqa: F401 - registers configs that a saved system may hold


@strict
class GeoproseConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Parts of a composed system as transformers sees them.

    Attributes:
        vision_config: Config of the vision encoder's tower.
        text_config: Config of the language model.
        vision_encoder: ``{"type": name, "feature_layer": ..., "pool": ..., "final_norm": ..., "truncate": ...}``.
        connector: ``{"type": name, **options}``.
        packer: Likewise; a bare name stands for a part without options.
        fusion: Likewise.
        position: Likewise.
        image_head: Likewise, or None: how the model writes pictures.
        branches: Further modalities: ``{modality: {"encoder", "encoder_config", "connector", "token", "token_id"}}``.
        signals: What the model can ask generators for: ``{name: {"tokens", "token_ids", "output_tokens", ...}}``.
        image_token_id: Token whose embedding a visual token replaces.
        system: The whole system spec as JSON values, for provenance and for rebuilding the spec; empty when the config
            was not made from a spec.
        tie_word_embeddings: Follows the language model.
    """

    model_type = "geoprose"
    sub_configs_defaults = {  # noqa: RUF012 - the form is the contract of transformers
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="dinov2"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
    }

    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    text_config: dict[str, Any] | PreTrainedConfig | None = None
    vision_encoder: dict[str, Any] | None = None
    connector: dict[str, Any] | None = None
    packer: str | dict[str, Any] = "flat"
    fusion: str | dict[str, Any] = "scatter"
    position: str | dict[str, Any] = "rope1d"
    image_head: dict[str, Any] | None = None
    branches: dict[str, Any] | None = None
    signals: dict[str, Any] | None = None
    image_token_id: int = 0
    system: dict[str, Any] | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill the defaults of the parts and follow the language model's tying."""
        super().__post_init__(**kwargs)
        self.vision_encoder = self.vision_encoder or {"type": "dinov2"}
        self.connector = self.connector or {"type": "linear"}
        self.packer, self.fusion, self.position = self.merging()
        self.tie_word_embeddings = bool(self.text_config.tie_word_embeddings)  # type: ignore[union-attr]

    def merging(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return packer, fusion and position as ``{"type": name, **options}``."""
        named = (self.packer, self.fusion, self.position)
        packer, fusion, position = ({"type": part} if isinstance(part, str) else dict(part) for part in named)
        return packer, fusion, position
