"""InternVL 1.5, 2.5 and 3: ``InternVLForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from transformers import InternVLConfig

from geoprose.systems.interop.base import ACTIVATION, Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.base import Sizes


class InternvlReference(Reference):
    """InternViT, an unshuffle of 2 x 2 patches with norm and MLP, any language model."""

    architecture = "InternVLForConditionalGeneration"
    cases: ClassVar[Mapping[str, tuple[Sizes, ...]]] = {
        "one tile": (((48, 48),),),
        "two columns and a thumbnail": (((301, 150),),),
        "three rows and a thumbnail": (((97, 290),),),
        "two pictures of several tiles": (((301, 150), (48, 48)),),
        "a batch of three rows": (((48, 48),), (), ((150, 301), (40, 33))),
    }

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(
            [
                Rename("model.vision_encoder.tower.{rest}", "model.vision_tower.{rest}"),
                Rename("model.connector.input_norm.{rest}", "model.multi_modal_projector.layer_norm.{rest}"),
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
        layer = ours.vision_encoder["feature_layer"]
        vision = part_config(ours.vision_config)
        patches = (vision["image_size"][0] // vision["patch_size"][0]) ** 2
        return InternVLConfig(
            vision_config=vision,
            text_config=part_config(ours.text_config),
            image_token_id=ours.image_token_id,
            image_seq_length=patches // ours.connector["factor"] ** 2,
            downsample_ratio=1 / ours.connector["factor"],
            **{ACTIVATION: ours.connector["activation"]},
            vision_feature_layer=-1 if layer is None else layer,
            tie_word_embeddings=ours.tie_word_embeddings,
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text, vision = part_config(theirs.text_config), part_config(theirs.vision_config)
        layer = theirs.vision_feature_layer
        vision["patch_size"] = vision["patch_size"][0]
        return {
            "resolution": {"image_size": vision.pop("image_size")[0]},
            "vision_encoder": {"feature_layer": None if layer == -1 else layer, "config": vision},
            "connector": {"factor": round(1 / theirs.downsample_ratio), "activation": getattr(theirs, ACTIVATION)},
            "language_model": {"type": text.pop("model_type"), "config": text},
        }
