"""Prove a dual encoder: embeddings and logits equal those of its transformers class."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from geoprose.systems.interop import REFERENCES
from geoprose.systems.load import load_system
from geoprose.systems.save import save_system
from geoprose.systems.verify import CaseResult, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from geoprose.systems.build import System
    from geoprose.systems.interop.base import Sizes

ROUNDING = 1e-12
"""Same weights at other addresses: SigLIP's attention pooling then sums in another order, measured 6e-17."""
OUTPUTS = ("image_embeds", "text_embeds", "logits_per_image")


def verify_dual_encoder(system: System[Any], seed: int) -> Verification:
    """Compare image embeddings, text embeddings and logits with the reference; see ``verify_system``.

    ``same_tokens`` of a case says that both rank the texts of every picture in the same order; ``picture_effect`` is
    the smaller of what other pictures and what other texts change.
    """
    reference: Any = REFERENCES.get(str(system.spec.reference))()
    theirs = reference.build(system.model)
    result = Verification(system.spec.name, reference.architecture)
    for case, rows in reference.cases.items():
        result.cases[case] = _compare(system, reference, theirs, rows)
    first = dual_batch(system, next(iter(reference.cases.values())), seed)
    result.control_difference = _control(system, reference, theirs, first)
    result.is_exact_after_reload = _survives_reload(system, first)
    return result


def dual_batch(system: System[Any], rows: Sequence[Sizes], seed: int = 0, words: str = "field") -> dict[str, Tensor]:
    """Return what our processor makes of noise pictures of these sizes, and of one text more than pictures."""
    rng = np.random.default_rng(seed)
    sizes = [size for row in rows for size in row]
    pictures = [Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for width, height in sizes]
    texts = [f"{words} {'and water ' * number}" for number in range(len(sizes) + 1)]
    batch: dict[str, Tensor] = dict(system.processor(images=pictures, text=texts))
    dtype = system.model.dtype
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}


@torch.no_grad()
def _compare(system: System[Any], reference: Any, theirs: Any, rows: Sequence[Sizes]) -> CaseResult:
    batch, others = dual_batch(system, rows, 0), dual_batch(system, rows, 1, "a road")
    ours, expected = system.model(**batch), theirs(**reference.inputs(batch))
    other = system.model(**others)
    effects = [_largest(getattr(ours, name), getattr(other, name)) for name in OUTPUTS]
    orders = [output.logits_per_image.argsort(-1) for output in (ours, expected)]
    return CaseResult(_difference(ours, expected), torch.equal(*orders), min(effects))


def _difference(ours: Any, theirs: Any) -> float:
    return max(_largest(getattr(ours, name), getattr(theirs, name)) for name in OUTPUTS)


def _largest(one: Tensor, two: Tensor) -> float:
    return float("inf") if one.shape != two.shape else float((one - two).abs().nan_to_num(torch.inf).max())


@torch.no_grad()
def _control(system: System[Any], reference: Any, theirs: Any, batch: Mapping[str, Tensor]) -> float:
    """Permute one weight of the vision side and compare again."""
    model = system.model
    weights = [p for part in (model.vision_projection, model.vision) for p in part.parameters() if p.ndim > 1]
    weight = weights[0] if list(model.vision_projection.parameters()) else weights[-1]
    original = weight.clone()
    weight.copy_(original.flip(0))
    try:
        return _difference(model(**batch), theirs(**reference.inputs(batch)))
    finally:
        weight.copy_(original)


@torch.no_grad()
def _survives_reload(system: System[Any], batch: Mapping[str, Tensor]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_system(save_system(system, Path(folder) / "system"))
        state = loaded.model.state_dict()
        same = all(torch.equal(value, state[key]) for key, value in system.model.state_dict().items())
        return same and _difference(system.model(**batch), loaded.model(**batch)) < ROUNDING
