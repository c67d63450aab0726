"""Chameleon: ``ChameleonForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import ChameleonConfig

from geoprose.models.parts.sizes import num_codes
from geoprose.systems.code_tokens import code_ids, code_names
from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig


class ChameleonReference(Reference):
    """A VQ tokenizer and a transformer with one vocabulary; transformers forbids it to write pictures."""

    architecture = "ChameleonForConditionalGeneration"

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(
            [
                Rename("model.vision_encoder.tower.{rest}", "model.vqmodel.{rest}"),
                Rename("model.language_model.{rest}", "model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ]
        )

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        text = part_config(ours.text_config)
        text.pop("model_type")
        text["vq_config"] = part_config(ours.vision_config)
        text["vocabulary_map"] = vocabulary_map(ours)
        return ChameleonConfig(**text)

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text = part_config(theirs)
        vision = part_config(text.pop("vq_config"))
        text.pop("vocabulary_map")
        return {
            "resolution": {"image_size": vision["resolution"]},
            "vision_encoder": {"config": vision},
            "language_model": {"type": text.pop("model_type"), "config": text},
        }

    def comparable(self, logits: Tensor, ours: GeoproseConfig) -> Tensor:
        """Return our logits without the tokens of codes, which transformers sets to the least number."""
        masked = logits.clone()
        masked[..., code_ids(ours)] = torch.finfo(logits.dtype).min
        return masked


def vocabulary_map(ours: GeoproseConfig) -> dict[str, int]:
    """Return the names and ids of codes and of the image token, as a published config lists them."""
    assert ours.connector is not None
    names = code_names(ours.connector["token"], num_codes(ours.vision_config))
    return {"<image>": ours.image_token_id, **dict(zip(names, code_ids(ours), strict=True))}
