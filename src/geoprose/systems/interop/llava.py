"""LLaVA-1.5 and GeoChat: ``LlavaForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import LlavaConfig

from geoprose.systems.interop.base import ACTIVATION, Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig


class LlavaReference(Reference):
    """CLIP, a two-layer MLP, a Llama."""

    architecture = "LlavaForConditionalGeneration"

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(
            [
                Rename("model.vision_encoder.tower.{rest}", "model.vision_tower.{rest}"),
                Rename("model.connector.layers.0.{rest}", "model.multi_modal_projector.linear_1.{rest}"),
                Rename("model.connector.layers.2.{rest}", "model.multi_modal_projector.linear_2.{rest}"),
                Rename("model.language_model.{rest}", "model.language_model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ]
        )

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        assert ours.vision_encoder is not None
        assert ours.connector is not None
        return LlavaConfig(
            vision_config=part_config(ours.vision_config),
            text_config=part_config(ours.text_config),
            image_token_index=ours.image_token_id,
            vision_feature_layer=ours.vision_encoder["feature_layer"],
            vision_feature_select_strategy="default",
            **{ACTIVATION: ours.connector["activation"]},
            tie_word_embeddings=ours.tie_word_embeddings,
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text, vision = part_config(theirs.text_config), part_config(theirs.vision_config)
        return {
            "resolution": {"image_size": vision.pop("image_size")},
            "vision_encoder": {"feature_layer": theirs.vision_feature_layer, "config": vision},
            "connector": {"activation": getattr(theirs, ACTIVATION)},
            "language_model": {"type": text.pop("model_type"), "config": text},
        }
