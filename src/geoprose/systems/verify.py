"""Prove a preset: the same numbers as its published class, at a size that runs in a second."""

from __future__ import annotations

import math
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from geoprose.core.errors import ConfigError
from geoprose.processing.visuals import Video
from geoprose.systems.batch import prepare_batch
from geoprose.systems.build import System, build_system
from geoprose.systems.interop import REFERENCES
from geoprose.systems.kinds import kind_of
from geoprose.systems.load import load_system
from geoprose.systems.save import save_system

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from geoprose.systems.interop.base import Reference, Sizes
    from geoprose.systems.spec import BaseSystemSpec

TOLERANCE = 1e-5
"""Logits, float64: norms and rotary positions compute in float32 in both, which leaves up to 3e-6."""
MIN_EFFECT = 1e-3
"""What another picture, or one permuted weight, must change at least."""
WEIGHT_STD = 0.3
NEW_TOKENS = 6


@dataclass
class CaseResult:
    """One kind of input.

    Attributes:
        max_difference: Largest difference of a logit.
        same_tokens: Whether both classes continue greedily with the same tokens.
        picture_effect: Largest change of our logits when the pictures change.
    """

    max_difference: float
    same_tokens: bool
    picture_effect: float

    @property
    def holds(self) -> bool:
        """Whether the case proves what it should."""
        return self.max_difference < TOLERANCE and self.same_tokens and self.picture_effect > MIN_EFFECT


@dataclass
class Verification:
    """The outcome.

    Attributes:
        system: Name of the preset.
        architecture: The transformers class.
        cases: Outcome per kind of input.
        control_difference: Largest difference of a logit after one weight of ours was permuted; must be large.
        is_exact_after_reload: Whether saving and loading changed no bit.
    """

    system: str
    architecture: str
    cases: dict[str, CaseResult] = field(default_factory=dict)
    control_difference: float = 0.0
    is_exact_after_reload: bool = False

    @property
    def holds(self) -> bool:
        """Whether the preset is proven."""
        cases_hold = bool(self.cases) and all(case.holds for case in self.cases.values())
        return cases_hold and self.control_difference > 100 * TOLERANCE and self.is_exact_after_reload

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "holds": self.holds}


def verify_system(name: str, seed: int = 0) -> Verification:
    """Compare a preset with its reference class in float64 with random weights.

    Every weight of both is the same random number, biases, norms and gates included.

    Args:
        name: Name of a preset with a ``reference``.
        seed: Seed of weights and pictures.

    Raises:
        ConfigError: If the preset names no reference class.
    """
    system = scrambled_system(name, seed)
    if system.spec.reference is None:
        raise ConfigError(
            f"System {name} has no transformers class to compare with (level of proof: {system.spec.verified}); "
            f"{system.spec.proof}"
        )
    return kind_of(system.spec.kind).verify(system, seed)


def verify_composite(system: System, seed: int) -> Verification:
    """Compare logits and greedy tokens of a composite; see ``verify_system``."""
    reference = REFERENCES.get(str(system.spec.reference))()
    theirs = reference.build(system.model)
    result = Verification(system.spec.name, reference.architecture)
    for case, rows in reference.cases.items():
        result.cases[case] = _compare(system, reference, theirs, rows)
    first = batch_of(system, next(iter(reference.cases.values())), seed)
    result.control_difference = _control(system, reference, theirs, first)
    result.is_exact_after_reload = _survives_reload(system, first)
    return result


def scrambled_system(name: str | BaseSystemSpec, seed: int = 0) -> System[Any]:
    """Return a tiny system in float64 whose every parameter is drawn anew, so that no gate, query or bias is zero."""
    system = build_system(name, scale="tiny", dtype=torch.float64, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in system.model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * WEIGHT_STD)
    return system


def batch_of(system: System, rows: Sequence[Sizes], seed: int = 0) -> dict[str, Tensor]:
    """Return what our processor makes of noise pictures of these sizes with a question each, padded on the left."""
    rng = np.random.default_rng(seed)
    pictures = [[_noise(rng, *size) for size in row] for row in rows]
    batch = prepare_batch(system, [(row, "Where?" * (number + 1)) for number, row in enumerate(pictures)])
    if system.model.config.is_encoder_decoder:
        batch["decoder_input_ids"] = torch.arange(len(rows) * NEW_TOKENS).reshape(len(rows), NEW_TOKENS)
    return batch


def _noise(rng: np.random.Generator, width: int, height: int, frames: int | None = None) -> Image.Image | Video:
    if frames is not None:
        return Video([_noise(rng, width, height) for _ in range(frames)])
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@torch.no_grad()
def _compare(system: System, reference: Reference, theirs: Any, rows: Sequence[Sizes]) -> CaseResult:
    batch, other = batch_of(system, rows, 0), batch_of(system, rows, 1)
    ours = system.model(**batch).logits
    compared = reference.comparable(ours, system.model.config)
    difference = _largest(compared, theirs(**reference.inputs(batch)).logits, _compared(batch))
    settings: dict[str, Any] = {
        "do_sample": False,
        "max_new_tokens": NEW_TOKENS,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    suppressed = system.model.generation_config.suppress_tokens
    prompt = {name: value for name, value in batch.items() if name != "decoder_input_ids"}
    start = batch["input_ids"].shape[1]
    if system.model.config.is_encoder_decoder:
        start, settings["decoder_start_token_id"] = 1, 0
    our_ids = system.model.generate(**prompt, **settings)[:, start:]
    their_ids = theirs.generate(**reference.inputs(prompt), **settings, suppress_tokens=suppressed)
    effect = _largest(ours, system.model(**other).logits, _compared(batch))
    return CaseResult(difference, torch.equal(our_ids, their_ids[:, -our_ids.shape[1] :]), effect)


def _compared(batch: Mapping[str, Tensor]) -> Tensor:
    """Return 1 for the positions whose logits count: real tokens, or the whole answer of a decoder."""
    answer = batch.get("decoder_input_ids")
    return batch["attention_mask"] if answer is None else torch.ones_like(answer)


def _largest(ours: Tensor, theirs: Tensor, attention_mask: Tensor) -> float:
    kept = attention_mask.bool()
    value = float((ours[kept] - theirs[kept]).abs().max())
    return value if math.isfinite(value) else math.inf


@torch.no_grad()
def _control(system: System, reference: Reference, theirs: Any, batch: Mapping[str, Tensor]) -> float:
    """Permute one weight of the connector (of the encoder where it has none) and compare again."""
    # A first axis of one (learned queries) has nothing to permute.
    weights = [p for p in system.model.model.connector.parameters() if p.ndim > 1 and len(p) > 1]
    weight = (weights[-1:] or [p for p in system.model.model.vision_encoder.parameters() if p.ndim > 1])[0]
    original = weight.clone()
    # Why not the rows: learned queries are a set, so another order of them changes nothing.
    weight.copy_(original.flip(-1))
    try:
        inputs = reference.inputs(batch)
        ours = reference.comparable(system.model(**batch).logits, system.model.config)
        return _largest(ours, theirs(**inputs).logits, _compared(batch))
    finally:
        weight.copy_(original)


@torch.no_grad()
def _survives_reload(system: System, batch: Mapping[str, Tensor]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_system(save_system(system, Path(folder) / "system"))
        state = loaded.model.state_dict()
        same = all(torch.equal(value, state[key]) for key, value in system.model.state_dict().items())
        # Why: weights in a mapped file may lie at any address, and matrix kernels round differently at an odd one.
        for tensor in (*loaded.model.parameters(), *loaded.model.buffers()):
            tensor.data = tensor.data.clone()
        return same and torch.equal(system.model(**batch).logits, loaded.model(**batch).logits)
