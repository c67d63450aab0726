"""What a system costs before it is run: parameters, visual tokens, FLOPs and memory, from its config alone.

Two FLOP counts are kept apart, because published figures differ in what they count:

``forward_flops`` counts every matrix product, convolution and attention product of one forward pass, two operations
per multiply-add, pictures included.

``text_flops`` is the convention that reproduces the figures of arXiv brief 004 for GeoChat-7B and 13B (6904.53 and
13377.05 GFLOPs): the language model alone on 512 text tokens, two per multiply-add, attention over all pairs (no
causal halving), the head at every position, and these element-wise operations: 2 per normalised value, 3 per rotated
query or key value, 1 per softmax weight, per activation, per gate product and per residual addition, and the angles of
the rotary embedding once a layer. Its parameters (6760.72 M and 13048.66 M) are those of the language model, the
connector and the interpolated position table; the other weights of the vision tower are not in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from geoprose.core.errors import ProcessingError
from geoprose.layout.arrangements import arrangement_of, num_tokens
from geoprose.layout.resolutions import resolution_of
from geoprose.models.inputs import VisualInputs

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.layout.visual import PatchGroups, Plan
    from geoprose.systems.spec import SystemSpec

INSTRUCTION_TOKENS = 32
"""Length of the instruction that a connector reads beside the picture."""
PUBLISHED_TEXT_TOKENS = 512
"""Length behind the GFLOPs of brief 004."""
_BYTES_16 = 2
_ADAM_BYTES = 4 + 4 + 4
"""Per trained weight: gradient and two moments in float32."""


@dataclass(frozen=True)
class Memory:
    """Bytes, activations not counted.

    Attributes:
        inference: Weights in 16 bits and the key-value cache of the given tokens.
        training: Weights in 16 bits, and a float32 copy, gradient and two Adam moments of each.
    """

    inference: int
    training: int


def parameters_by_part(model: Any) -> dict[str, int]:
    """Return the parameters of each part; a head that is tied to the embedding counts once."""
    seen: set[int] = set()
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        if id(parameter) in seen:
            continue
        seen.add(id(parameter))
        part = name.removeprefix("model.").split(".")[0]
        counts[part] = counts.get(part, 0) + parameter.numel()
    return counts


def plan_of(spec: SystemSpec, width_px: int, height_px: int) -> Plan:
    """Return what a picture of this size becomes in a system."""
    return resolution_of(spec.resolution.as_config()).plan(width_px, height_px)


def visual_tokens(spec: SystemSpec, model: Any, width_px: int, height_px: int) -> int:
    """Return the image tokens that a picture of this size takes in the text, row tokens not counted.

    Args:
        spec: The system.
        model: Its model; on the meta device will do.
        width_px: Columns of the picture.
        height_px: Rows of the picture.
    """
    arrangement = arrangement_of(spec.packer.as_config())
    return num_tokens(arrangement, plan_of(spec, width_px, height_px).layout, model.model.num_visual_tokens)


def forward_flops(spec: SystemSpec, model: Any, size_px: tuple[int, int], text_tokens: int) -> dict[str, int]:
    """Return the FLOPs of one forward pass per part, counted on the meta device.

    Args:
        spec: The system.
        model: Its model on the meta device.
        size_px: Width and height of the one picture.
        text_tokens: Tokens beside the image tokens.

    Raises:
        ProcessingError: If the parts cannot run without data, which a system with data-dependent control flow cannot.
    """
    plan = plan_of(spec, *size_px)
    length = visual_tokens(spec, model, *size_px) + text_tokens
    width = model.config.get_text_config().hidden_size
    try:
        with torch.device("meta"), torch.no_grad():
            see = _count(lambda: _see(spec, model, plan))
            read_through = _count(lambda: read(model.model.language_model, torch.empty(1, length, width)))
            head = _count(lambda: model.lm_head(torch.empty(1, length, width)))
    except (RuntimeError, TypeError, ValueError) as error:  # a missing kernel is a RuntimeError
        raise ProcessingError(f"The FLOPs of {spec.name} cannot be counted without data: {error}") from error
    return {"vision": see, "language_model": read_through, "head": head}


def text_flops(text_config: Any, tokens: int = PUBLISHED_TEXT_TOKENS) -> int:
    """Return the FLOPs of a Llama-style language model on text, in the convention of brief 004 (see the module)."""
    layers, width, hidden = text_config.num_hidden_layers, text_config.hidden_size, text_config.intermediate_size
    heads = text_config.num_attention_heads
    head_dim = getattr(text_config, "head_dim", None) or width // heads
    key_width = text_config.num_key_value_heads * head_dim
    query_width = heads * head_dim
    products = layers * (2 * width * query_width + 2 * width * key_width + 3 * width * hidden)
    products += width * text_config.vocab_size + layers * 2 * query_width * tokens
    normalised = (2 * layers + 1) * width
    rotated = layers * (query_width + key_width)
    softmax = layers * heads * tokens
    elementwise = 2 * normalised + 3 * rotated + softmax + layers * (2 * hidden + 2 * width)
    angles = layers * head_dim
    return int(tokens * (2 * products + elementwise + angles))


def memory_bytes(model: Any, tokens: int) -> Memory:
    """Return what weights, cache and optimiser take for a sequence of ``tokens``."""
    weights = sum(parameters_by_part(model).values())
    text = model.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cache = 2 * text.num_hidden_layers * heads * head_dim * tokens * _BYTES_16
    return Memory(weights * _BYTES_16 + cache, weights * (_BYTES_16 + 4 + _ADAM_BYTES))


def visual_inputs(spec: SystemSpec, plan: Plan) -> VisualInputs:
    """Return empty pixels of one picture, and an instruction if it is read, on the current device, in its dtype."""
    reads = getattr(spec.connector, "condition", False)
    return VisualInputs(
        pixel_values=_patches(spec, plan) if _cut(spec) else _pixels(plan.tiles),
        visual_layouts=torch.tensor([plan.layout], device="cpu"),
        condition_ids=torch.zeros(plan.layout.num_tiles, INSTRUCTION_TOKENS, dtype=torch.long) if reads else None,
        **{name: _pixels(tiles) for name, tiles in plan.extra.items()},
    )


def read(language_model: Any, embeddings: Tensor) -> Any:
    """Run a language model over embeddings (1, T, D), on the meta device too."""
    length = embeddings.shape[1]
    # Why a 4-D mask: transformers looks into a 2-D one, and there is nothing to look at on the meta device.
    mask = torch.empty(1, 1, length, length, dtype=embeddings.dtype, device=embeddings.device)
    # Why positions: OPT would count them from the mask.
    places = torch.arange(length, device=embeddings.device).unsqueeze(0)
    return language_model(inputs_embeds=embeddings, attention_mask=mask, position_ids=places, use_cache=False)


def _see(spec: SystemSpec, model: Any, plan: Plan) -> Any:
    inputs = visual_inputs(spec, plan)
    return model.model.project(model.model.vision_encoder.encode(inputs), inputs)


def _cut(spec: SystemSpec) -> PatchGroups | None:
    cut: PatchGroups | None = getattr(resolution_of(spec.resolution.as_config()), "patches", None)
    return cut


def _patches(spec: SystemSpec, plan: Plan) -> torch.Tensor:
    cut = _cut(spec)
    assert cut is not None
    return torch.empty(plan.layout.num_tiles, cut.merge**2, 3 * cut.frames * cut.patch_size**2)


def _pixels(tiles: Any) -> torch.Tensor:
    width, height = tiles[0].model_size_px
    return torch.empty(len(tiles), 3, height, width)


def _count(run: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())
