"""One forward and backward pass of every part on the meta device: operations counted, kept tensors weighed.

Nothing is guessed from formulas here. The parts run with the stage's own freezing, adapters and dtypes, so a frozen
language model that passes gradients on to a connector costs exactly what it costs: its inputs' gradients and no
weights'. Fused attention is assumed: the matrices of attention weights are counted as operations and not as memory.
"""

# T tokens of a row, D width of the language model, K answer tokens, V vocabulary

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from geoprose.systems.cost import plan_of, read, visual_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from geoprose.training.planner.workload import RowShape

_LEAST_ATTENTION = 16


@dataclass(frozen=True)
class Piece:
    """What one part does for one picture or one row.

    Attributes:
        forward: Operations of the forward pass, two for a multiply-add.
        backward: Operations of the backward pass; 0 where no gradient flows.
        kept_bytes: Bytes that the forward pass keeps for the backward pass.
        blocks: Layers that gradient checkpointing can recompute one by one.
        input_bytes: Bytes of what enters one of them.
        dtype: Format of its matrix products.
        largest_bytes: Bytes of the largest tensor that is kept.
    """

    forward: int
    backward: int
    kept_bytes: int
    blocks: int
    input_bytes: int
    dtype: torch.dtype
    largest_bytes: int = 0

    @property
    def has_gradient(self) -> bool:
        """Whether a gradient flows through it."""
        return self.backward > 0

    @property
    def block_bytes(self) -> int:
        """Bytes that come on top while a block is undone: what a layer keeps, on average.

        A part without layers is undone tensor by tensor: the gradient of the largest one counts.
        """
        return self.kept_bytes // self.blocks if self.blocks > 1 else self.largest_bytes


@dataclass
class _Kept:
    """Storages that autograd keeps, parameters left out, and attention weights unless ``weighs_squares``."""

    parameters: set[int]
    weighs_squares: bool = False
    bytes: dict[int, tuple[int, Any]] = field(default_factory=dict)

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.parameters and (self.weighs_squares or not _is_attention(tensor)):
            self.bytes[storage._cdata] = (storage.nbytes(), storage)  # held, so that the address is not given again
        return tensor

    def sizes(self) -> list[int]:
        return [size for size, _ in self.bytes.values()]


def trace(
    run: Callable[[], Tensor],
    parameters: Iterator[Tensor],
    block: tuple[int, int, torch.dtype],
    weighs_squares: bool = False,
) -> Piece:
    """Run a part forward and, where a gradient flows, backward, on the meta device.

    Args:
        run: Returns the part's output.
        parameters: Weights, which take memory whether or not autograd refers to them.
        block: Number of blocks, numbers that enter one, and their dtype.
        weighs_squares: Weigh what looks like attention weights too: square maps, or a bias that fused attention keeps.
    """
    kept = _Kept({parameter.untyped_storage()._cdata for parameter in parameters}, weighs_squares)
    blocks, numbers, dtype = block
    with torch.device("meta"), torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        with FlopCounterMode(display=False) as forward:
            output = run()
        with FlopCounterMode(display=False) as backward:
            if output.requires_grad:
                output.sum().backward()  # type: ignore[no-untyped-call] # torch
    return Piece(
        int(forward.get_total_flops()),
        int(backward.get_total_flops()),
        sum(kept.sizes()),
        blocks,
        numbers * dtype.itemsize,
        dtype,
        max(kept.sizes(), default=0),
    )


def trace_encoder(spec: Any, model: Any, picture_px: tuple[int, int]) -> tuple[Piece, tuple[int, ...] | None]:
    """Trace the vision encoder on one picture; also return the shape of its features, None where they are no tensor."""
    encoder, plan = model.model.vision_encoder, plan_of(spec, *picture_px)
    dtype = dtype_of(encoder)
    shapes: list[tuple[int, ...] | None] = []

    def run() -> Tensor:
        with default_dtype(dtype):
            features = encoder.encode(visual_inputs(spec, plan))
        shapes.append(tuple(features.shape) if isinstance(features, Tensor) else None)
        return features if isinstance(features, Tensor) else any_tensor(features)

    config = model.config.vision_config
    piece = trace(run, model.parameters(), (getattr(config, "num_hidden_layers", 1) or 1, 0, dtype))
    shape = shapes[0]
    numbers = 0 if shape is None else int(torch.Size(shape).numel())
    return replace(piece, input_bytes=numbers * dtype.itemsize), shape


def trace_connector(spec: Any, model: Any, shape: tuple[int, ...], picture_px: tuple[int, int]) -> Piece:
    """Trace the connector on the features of one picture."""
    plan, dtype = plan_of(spec, *picture_px), dtype_of(model.model.connector)
    needs_input = any(parameter.requires_grad for parameter in model.model.vision_encoder.parameters())

    def run() -> Tensor:
        with default_dtype(dtype):
            inputs = visual_inputs(spec, plan)
        features = torch.empty(shape, dtype=dtype, requires_grad=needs_input)
        projected = model.model.project(features, inputs)
        return projected if isinstance(projected, Tensor) else any_tensor(projected)

    return trace(run, model.parameters(), (1, int(torch.Size(shape).numel()), dtype))


def trace_language_model(model: Any, row: RowShape) -> Piece:
    """Trace the decoder over one row."""
    text, language_model = model.config.get_text_config(), model.model.language_model
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    length = row.tokens + (row.tokens == head_dim)  # else a head's queries would look like attention weights
    dtype = model.get_input_embeddings().weight.dtype
    below = (p for name, p in model.named_parameters() if not name.startswith(("model.language_model", "lm_head")))
    needs_input = any(parameter.requires_grad for parameter in below)

    def run() -> Tensor:
        embeddings = torch.empty(1, length, text.hidden_size, dtype=dtype, requires_grad=needs_input)
        output: Tensor = read(language_model, embeddings).last_hidden_state
        return output

    return trace(run, model.parameters(), (text.num_hidden_layers, length * text.hidden_size, dtype))


def trace_head(model: Any, answers: int, has_gradient: bool) -> Piece:
    """Trace the head and the cross-entropy over the answer tokens of one row; the logits become float32 (K, V)."""
    width, dtype = model.config.get_text_config().hidden_size, dtype_of(model.lm_head)

    def run() -> Tensor:
        hidden_KD = torch.empty(answers, width, dtype=dtype, requires_grad=has_gradient)
        logits_KV = model.lm_head(hidden_KD).float()
        return F.cross_entropy(logits_KV, torch.zeros(answers, dtype=torch.long), reduction="sum")

    return trace(run, model.parameters(), (1, answers * width, dtype))


def dtype_of(part: Any) -> torch.dtype:
    """Return the format of a part's products, that of its weights; autocast is played by casting the weights."""
    dtype: torch.dtype = next((parameter.dtype for parameter in part.parameters()), torch.float32)
    return dtype


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Make new tensors of ``dtype`` inside the block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _is_attention(tensor: Tensor) -> bool:
    return tensor.dim() >= 3 and tensor.shape[-1] == tensor.shape[-2] >= _LEAST_ATTENTION


def any_tensor(value: Any) -> Tensor:
    """Return the sum of every tensor inside, so that a backward pass reaches all of them."""
    leaves = [leaf for leaf in torch.utils._pytree.tree_leaves(value) if isinstance(leaf, Tensor)]
    return torch.stack([leaf.float().sum() for leaf in leaves]).sum()
