"""DeepSeek-VL 1.3B and 7B: ``DeepseekVLForConditionalGeneration``, ``DeepseekVLHybridForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import DeepseekVLConfig, DeepseekVLHybridConfig

from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.key_map import Rule

_SHARED = (
    Rename("model.vision_encoder.tower.{rest}", "model.vision_model.{rest}"),
    Rename("model.language_model.{rest}", "model.language_model.{rest}"),
    Rename("lm_head.{rest}", "lm_head.{rest}"),
)
_MLP = (
    Rename("model.connector.layers.0.{rest}", "model.aligner.linear1.{rest}"),
    Rename("model.connector.layers.2.{rest}", "model.aligner.linear2.{rest}"),
)
_NECK = "model.vision_encoder.high_res_neck."
_HYBRID = (
    Rename("model.vision_encoder.high_res_tower.{rest}", "model.high_res_vision_model.{rest}"),
    Rename(_NECK + "conv1.{rest}", "model.high_res_vision_neck.conv1.{rest}"),
    Rename(_NECK + "norm1.{rest}", "model.high_res_vision_neck.layer_norm1.{rest}"),
    Rename(_NECK + "conv2.{rest}", "model.high_res_vision_neck.conv2.{rest}"),
    Rename(_NECK + "norm2.{rest}", "model.high_res_vision_neck.layer_norm2.{rest}"),
    Rename("model.vision_encoder.high_res_down.0.{rest}", "model.high_res_vision_proj.conv1.{rest}"),
    Rename("model.vision_encoder.high_res_down.1.{rest}", "model.high_res_vision_proj.conv2.{rest}"),
    Rename("model.vision_encoder.alpha", "model.high_res_vision_alpha"),
    Rename("model.connector.high.{rest}", "model.aligner.high_res_vision_proj.{rest}"),
    Rename("model.connector.low.{rest}", "model.aligner.vision_proj.{rest}"),
    Rename("model.connector.mix.{rest}", "model.aligner.proj.{rest}"),
)


class DeepseekVlReference(Reference):
    """SigLIP, a two-layer MLP, a Llama."""

    architecture = "DeepseekVLForConditionalGeneration"
    rules: Sequence[Rule] = (*_SHARED, *_MLP)

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(self.rules)

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return DeepseekVLConfig(**self.shared_config(ours))

    def shared_config(self, ours: GeoproseConfig) -> dict[str, Any]:
        """Return what both classes call alike."""
        return {
            "vision_config": part_config(ours.vision_config),
            "text_config": part_config(ours.text_config),
            "image_token_id": ours.image_token_id,
            "tie_word_embeddings": ours.tie_word_embeddings,
        }

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text, vision = part_config(theirs.text_config), part_config(theirs.vision_config)
        return {
            "resolution": {"image_size": vision.pop("image_size")},
            "vision_encoder": {"config": vision},
            "language_model": {"type": text.pop("model_type"), "config": text},
        }


class DeepseekVlHybridReference(DeepseekVlReference):
    """SigLIP and SAM on one grid, a concatenating aligner, a Llama."""

    architecture = "DeepseekVLHybridForConditionalGeneration"
    rules = (*_SHARED, *_HYBRID)

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        assert ours.vision_encoder is not None
        return DeepseekVLHybridConfig(
            **self.shared_config(ours),
            high_res_vision_config={"model_type": "sam_vision_model", **ours.vision_encoder["high_res"]},
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        values = super().spec_values(theirs)
        high = part_config(theirs.high_res_vision_config)
        values["resolution"]["high_res_size"] = high["image_size"]
        values["vision_encoder"]["extra"] = {"high_res": high}
        values["connector"] = {"high_size": 4 * high["output_channels"]}
        return values
