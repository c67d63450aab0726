"""The transformers config of a dual encoder; generated from its spec, never edited by hand."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec


@strict
class TwoTowerConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """What the configs of two towers share.

    Attributes:
        vision_config: Config of the vision tower's transformers model.
        text_config: Config of the text tower's transformers model.
        vision: ``{"type": name, "pooling": ...}``.
        text: Likewise.
        system: The whole spec as JSON values, for provenance.
    """

    sub_configs_defaults = {  # noqa: RUF012 - the form is the contract of transformers
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_vision_model"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="clip_text_model"),
    }

    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    text_config: dict[str, Any] | PreTrainedConfig | None = None
    vision: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    system: dict[str, Any] | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill the defaults of the towers."""
        super().__post_init__(**kwargs)
        self.vision = {"type": "clip", **(self.vision or {})}
        self.text = {"type": "clip_text", **(self.text or {})}


@strict
class DualEncoderConfig(TwoTowerConfig):
    """Two towers and what brings their outputs together.

    Attributes:
        projection: ``{"dim": int or None, "vision": bool, "text": bool, "bias": bool}``.
        logits: ``{"loss": ..., "scale_init": ..., "max_scale": ..., "bias_init": ...}``.
    """

    model_type = "geoprose_dual_encoder"

    projection: dict[str, Any] | None = None
    logits: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill the defaults of the parts."""
        super().__post_init__(**kwargs)
        self.projection = {"dim": 512, "vision": True, "text": True, "bias": False, **(self.projection or {})}
        default = {"loss": "softmax", "scale_init": 2.6592, "max_scale": 100.0, "bias_init": None}
        self.logits = {**default, **(self.logits or {})}
