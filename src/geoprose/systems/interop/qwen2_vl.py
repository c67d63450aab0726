"""Qwen2-VL: ``Qwen2VLForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from transformers import Qwen2VLConfig

from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.base import Sizes

RELEASED_VIDEO_TOKEN_ID = 151656
_TEXT_ONLY = ("model_type", "rope_parameters", "layer_types")


class Qwen2VlReference(Reference):
    """The encoder with its merger, a Qwen2 with multimodal rotary positions."""

    architecture = "Qwen2VLForConditionalGeneration"
    cases: ClassVar[Mapping[str, tuple[Sizes, ...]]] = {
        "one picture": (((48, 48),),),
        "pictures of two shapes": (((90, 40), (33, 61)),),
        "a batch of two rows": (((48, 90),), ((40, 64), (112, 30))),
        "a video": (((60, 40, 7),),),
        "a long video, a picture and padding": (((30, 30, 12), (70, 50)), ((40, 40),)),
    }

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(
            [
                Rename("model.connector.ln_q.{rest}", "model.visual.merger.ln_q.{rest}"),
                Rename("model.connector.layers.{rest}", "model.visual.merger.mlp.{rest}"),
                Rename("model.vision_encoder.tower.{rest}", "model.visual.{rest}"),
                Rename("model.language_model.{rest}", "model.language_model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ]
        )

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        vision, text = part_config(ours.vision_config), part_config(ours.text_config)
        vision["hidden_size"] = text["hidden_size"]
        self._image_token_id = ours.image_token_id
        self._video_token_id = video_token_id(ours.image_token_id, text["vocab_size"])
        rope = {**text["rope_parameters"], "mrope_section": list(ours.merging()[2]["sections"])}
        return Qwen2VLConfig(
            vision_config=vision,
            text_config={
                **{key: value for key, value in text.items() if key not in _TEXT_ONLY},
                "rope_parameters": rope,
            },
            image_token_id=ours.image_token_id,
            video_token_id=self._video_token_id,
            tie_word_embeddings=ours.tie_word_embeddings,
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text, vision = part_config(theirs.text_config), part_config(theirs.vision_config)
        vision["hidden_size"] = vision["embed_dim"]
        vision |= {"num_hidden_layers": vision.pop("depth"), "num_attention_heads": vision.pop("num_heads")}
        rope = dict(text.pop("rope_parameters"))
        sections = rope.pop("mrope_section", [16, 24, 24])
        patch, merge = vision["patch_size"], vision["spatial_merge_size"]
        values = {key: value for key, value in text.items() if key not in _TEXT_ONLY}
        return {
            "resolution": {
                "image_size": patch * merge,
                "patch_size": patch,
                "frames_per_step": vision["temporal_patch_size"],
            },
            "vision_encoder": {"config": vision},
            "connector": {"factor": merge},
            "position": {"sections": sections},
            "language_model": {"type": "qwen2", "config": {**values, "rope_parameters": rope}},
        }

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the inputs of one forward pass under the names of the transformers class.

        A visual of several steps in time goes in as a video, with the video's token in the text.
        """
        text = {name: value for name, value in inputs.items() if name not in ("pixel_values", "visual_layouts")}
        if "pixel_values" not in inputs:
            return text
        pixels, layouts = inputs["pixel_values"], inputs["visual_layouts"]
        merge = round(pixels.shape[1] ** 0.5)
        grids = layouts[:, :3] * torch.tensor([1, merge, merge])
        counts = layouts[:, :3].prod(-1)
        is_video = layouts[:, 0] > 1
        groups_are_video = is_video.repeat_interleave(counts)
        ids = inputs["input_ids"].clone()
        is_visual = ids == self._image_token_id
        types = torch.zeros_like(ids)
        types[is_visual] = 1 + groups_are_video.long()
        ids[types == 2] = self._video_token_id
        text |= {"input_ids": ids, "mm_token_type_ids": types}
        if not bool(is_video.all()):
            text |= {"pixel_values": pixels[~groups_are_video].flatten(0, 1), "image_grid_thw": grids[~is_video]}
        if bool(is_video.any()):
            text |= {"pixel_values_videos": pixels[groups_are_video].flatten(0, 1), "video_grid_thw": grids[is_video]}
        return text


def video_token_id(image_token_id: int, vocabulary: int) -> int:
    """Return the id that stands for a video in the transformers class; its embedding is always replaced.

    Ours has one token for both. Released vocabularies have the video's right behind the image's; elsewhere the last,
    unused row of the embedding serves.
    """
    return RELEASED_VIDEO_TOKEN_ID if image_token_id == RELEASED_VIDEO_TOKEN_ID - 1 else vocabulary - 1
