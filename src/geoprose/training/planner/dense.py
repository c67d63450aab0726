"""The parts of a dense system: the vision tower on one date, the prompts of the classes, the decoder, the loss."""

# T dates, K prompts, S tokens of a prompt, L classes, H W pixels

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from geoprose.models.dense.contracts import DateFeatures
from geoprose.training.losses.segmentation import dice_loss_sum, pixel_cross_entropy_sum
from geoprose.training.planner.dual import layers_of
from geoprose.training.planner.trace import Piece, any_tensor, default_dtype, dtype_of, trace

PER_PICTURE, PER_BATCH = frozenset({"vision"}), frozenset({"text"})
"""The tower sees each date; the prompts are read once for all places of a micro-batch."""

_MAPS = frozenset({"decoder", "head"})


def trace_dense(spec: Any, model: Any, prompt_tokens: int) -> dict[str, Piece]:
    """Return the cost of a date, of the prompts, and of a place.

    Args:
        spec: The system.
        model: Its model on the meta device, frozen as the stage says.
        prompt_tokens: S; cut at the tower's limit.
    """
    side, length = int(spec.resolution.image_size), min(prompt_tokens, int(spec.text_encoder.max_length))
    dtype, text_dtype = dtype_of(model.vision), dtype_of(model.text)
    found: dict[str, Any] = {}

    def see() -> Tensor:
        with default_dtype(dtype):
            found["date"] = model.features(torch.empty(1, 3, side, side, dtype=dtype))
        return any_tensor([found["date"].maps, found["date"].patches_NDhw, found["date"].image_ND])

    def read() -> Tensor:
        with default_dtype(text_dtype):
            ids = torch.zeros(len(spec.prompts), length, dtype=torch.long)
            found["texts"] = model.text_projection(model.text(ids))
        texts: Tensor = found["texts"]
        return texts

    def decode() -> Tensor:
        dates = [_like(found["date"]) for _ in range(model.head.num_dates)]
        found["scores"] = model.head(dates, _fresh(found["texts"]))
        scores: Tensor = found["scores"]
        return scores

    def judge() -> Tensor:
        logits_1LHW = F.interpolate(_fresh(found["scores"]), size=(side, side), mode="bilinear", align_corners=False)
        labels_1HW = torch.zeros(1, side, side, dtype=torch.long)
        logits_1LHW = logits_1LHW.float()
        return pixel_cross_entropy_sum(logits_1LHW, labels_1HW) + dice_loss_sum(logits_1LHW, labels_1HW)

    vision, text = model.config.vision_config, model.config.text_config
    patches = (side // int(vision.patch_size)) ** 2
    blocks = {
        "vision": (see, (layers_of(vision), patches * vision.hidden_size, dtype)),
        "text": (read, (layers_of(text), len(spec.prompts) * length * text.hidden_size, text_dtype)),
        "decoder": (decode, (1, 0, dtype_of(model.head))),
        "head": (judge, (1, 0, torch.float32)),
    }
    # Why squares in the decoder: its maps are square; attention of prompts and patches is not.
    return {name: trace(run, model.parameters(), block, name in _MAPS) for name, (run, block) in blocks.items()}


def _like(date: DateFeatures) -> DateFeatures:
    return DateFeatures([_fresh(item) for item in date.maps], _fresh(date.patches_NDhw), _fresh(date.image_ND))


def _fresh(tensor: Tensor) -> Tensor:
    """Return another tensor like this one, which a gradient reaches where it reached this one."""
    return torch.empty_like(tensor, requires_grad=tensor.requires_grad)
