"""Read the attention of a language model from its answer to the visual tokens of a picture.

Shapes: L layers, A answer tokens, V visual tokens, T text length, H heads.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geoprose.inference.generate import Request, encode_prompts
from geoprose.layout.resolutions import resolution_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PIL.Image import Image

    from geoprose.systems.build import System

GRID_CONNECTORS = ("compass_mlp", "identity", "linear", "mlp", "unshuffle_mlp")
"""Connectors whose last tokens are the cells of a square grid over the tile, row by row."""
SEQUENCE_FUSIONS = ("modality_moe", "scatter", "token_ids", "visual_expert")
"""Fusions that put visual tokens among the words."""


@dataclass(frozen=True)
class Read:
    """Attention of one answer.

    Attributes:
        to_visual_LV: Attention on each visual token, mean over heads and answer tokens.
        share_L: Part of all attention that goes to visual tokens.
    """

    to_visual_LV: NDArray[np.float64]
    share_L: NDArray[np.float64]


def why_unreadable(system: System[Any]) -> str:
    """Return why the attention of a system cannot be read; empty when it can."""
    spec = system.spec
    if not hasattr(spec, "language_model"):
        return f"system {spec.name} is of kind {spec.kind}: it has no language model that attends to a picture"
    if getattr(system.model.config, "is_encoder_decoder", False):
        return "the language model is an encoder-decoder, whose pictures stand in the encoder"
    if spec.fusion.type not in SEQUENCE_FUSIONS:
        return (
            f"fusion {spec.fusion.type!r} does not put visual tokens among the words, so no word attends to them there"
        )
    return ""


@contextmanager
def eager(system: System[Any]) -> Iterator[None]:
    """Let the language model compute its attention in the open; other implementations never hold the weights."""
    config = system.model.model.language_model.config
    before = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = before


@torch.inference_mode()
def read_attention(system: System[Any], picture: Image, question: str, answer: str) -> Read | None:
    """Return the attention behind an answer; None where the answer has no token.

    The rows are those of the positions that predict the answer's tokens: the last one of the prompt, and every answer
    token but the last. The prompt and the answer go through the model once.

    Args:
        system: A system whose attention can be read.
        picture: The picture.
        question: The words that were shown.
        answer: What the system wrote.
    """
    processor, model = system.processor, system.model
    prompt = encode_prompts(system, [Request((picture,), question)])[0].ids
    own = processor.tokenizer.encode(answer, add_special_tokens=False)
    if not own:
        return None
    ids_BT = torch.tensor([[*prompt, *own]], device=model.device)
    arrays = processor.image_processor([[picture]], return_tensors="pt")
    inputs = {
        name: value.to(model.device, model.dtype) if value.is_floating_point() else value.to(model.device)
        for name, value in arrays.items()
    }
    with eager(system):
        outputs = model(
            input_ids=ids_BT,
            attention_mask=torch.ones_like(ids_BT),
            use_cache=False,
            output_attentions=True,
            **inputs,
        )
    is_visual_T = (ids_BT[0] == model.config.image_token_id).cpu().numpy()
    first = len(prompt) - 1
    layers = [
        one[0, :, first : first + len(own)].float().cpu().numpy().mean((0, 1)) for one in outputs.attentions or ()
    ]
    if not layers or not is_visual_T.any():
        return None
    attention_LT = np.stack(layers).astype(np.float64)
    to_visual_LV = attention_LT[:, is_visual_T]
    return Read(to_visual_LV, to_visual_LV.sum(1) / attention_LT.sum(1))


@dataclass(frozen=True)
class Grid:
    """Where the visual tokens of a picture with one tile look.

    Attributes:
        side: Cells along each edge of the tile.
        skipped: Tokens in front that stand for no cell.
        boxes: Left, top, right and bottom of each cell in pixels of the picture, row by row.
    """

    side: int
    skipped: int
    boxes: tuple[tuple[float, float, float, float], ...]


def grid_of(system: System[Any], size_px: tuple[int, int], num_tokens: int) -> Grid | str:
    """Return the cells behind the visual tokens, or why there are none.

    Args:
        system: The system.
        size_px: Width and height of the picture.
        num_tokens: Visual tokens that it took.
    """
    spec = system.spec
    connector = spec.connector.type
    if connector not in GRID_CONNECTORS or getattr(spec.connector, "order", "") == "raster4":
        return f"the tokens of connector {connector!r} are no cells of the picture"
    if spec.packer.type != "flat":
        return f"packer {spec.packer.type!r} orders tokens in a way that is not read here"
    plan = resolution_of(spec.resolution.as_config()).plan(*size_px)
    if len(plan.tiles) != 1:
        return f"the picture is cut into {len(plan.tiles)} tiles; only systems with one tile are read"
    skipped = 9 if connector == "compass_mlp" else 0
    side = round((num_tokens - skipped) ** 0.5)
    if side * side != num_tokens - skipped:
        return f"{num_tokens - skipped} tokens are no square grid"
    tile = plan.tiles[0]
    width, height = (edge / side for edge in tile.model_size_px)
    boxes = []
    for row in range(side):
        for column in range(side):
            left, top = tile.to_original(column * width, row * height)
            right, bottom = tile.to_original((column + 1) * width, (row + 1) * height)
            boxes.append((left, top, right, bottom))
    return Grid(side, skipped, tuple(boxes))
