"""The two towers of a dual encoder, each on one picture or text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from geoprose.training.planner.trace import Piece, default_dtype, dtype_of, trace


def trace_towers(spec: Any, model: Any, picture_px: tuple[int, int], text_tokens: int) -> dict[str, Piece]:
    """Return the cost of a pair: its picture and its text.

    Args:
        spec: The system.
        model: Its model on the meta device, frozen as the stage says.
        picture_px: Width and height; the towers see the system's own size.
        text_tokens: Tokens of a text, cut at the tower's limit.
    """
    side, length = int(spec.resolution.image_size), min(text_tokens, int(spec.text_encoder.max_length))
    vision_dtype, text_dtype = dtype_of(model.vision), dtype_of(model.text)

    def see() -> Tensor:
        with default_dtype(vision_dtype):
            embedded: Tensor = model.embed_images(torch.empty(1, 3, side, side, dtype=vision_dtype))
        return embedded

    def read() -> Tensor:
        with default_dtype(text_dtype):
            embedded: Tensor = model.embed_texts(torch.zeros(1, length, dtype=torch.long))
        return embedded

    vision, text = model.config.vision_config, model.config.text_config
    patches = (side // int(vision.patch_size)) ** 2
    return {
        "vision": trace(see, model.parameters(), (layers_of(vision), patches * vision.hidden_size, vision_dtype)),
        "text": trace(read, model.parameters(), (layers_of(text), length * text.hidden_size, text_dtype)),
    }


def layers_of(config: Any) -> int:
    """Return the blocks of a tower."""
    return int(config.num_hidden_layers)
