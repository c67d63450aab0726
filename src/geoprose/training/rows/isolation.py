"""Whether conversations in one row stay apart: tried on a tiny twin of the system before anything is trained.

Decoders differ in how they take positions and masks, and a leak between the samples of a row trains on without a word.
The twin has the same parts and code paths, every weight is random (gates included), and its logits must be those of
the same conversations in rows of their own.
"""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from PIL import Image

from geoprose.core.errors import ConfigError, GeoproseError
from geoprose.core.types import Message, Sample
from geoprose.data.collator import PREFIX_SEGMENT, Collator, Row, join
from geoprose.data.mixture import Unit
from geoprose.training.forward import Forward
from geoprose.training.pictures.images import ImageScan
from geoprose.training.pictures.vision import Vision, in_model_dtypes
from geoprose.training.rows.packing import IMAGE_MARK, RowOptions
from geoprose.training.rows.rows import RowEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.systems.spec import BaseSystemSpec
    from geoprose.training.specs.stage import StageSpec

Isolation = Literal["positions", "mask"]
"""Rows are told apart by positions that start anew, without a mask; or by a 4-D mask."""
Mode = Literal["positions", "mask", "shared_prefix", "padding"]
TOLERANCE = 1e-5
"""Largest difference of a logit, in float64: rounding leaves 1e-14, a leak more than 1e-1."""
_QUESTIONS = ("Any ice?", "How many ships lie in the harbour?", "Why?")


def check_packing(system: Any, stages: Sequence[StageSpec]) -> None:
    """Try what the stages ask for on a twin of the system.

    Raises:
        ConfigError: If the language model would mix the samples of a row.
    """
    for stage in stages:
        if stage.packing == "packed":
            packed_isolation(system.spec)
        elif stage.packing == "shared_prefix" or stage.join_rows:
            _require_mask(_key(system.spec), stage.packing == "shared_prefix")


def packed_isolation(spec: BaseSystemSpec) -> Isolation:
    """Return how this system keeps the conversations of a packed row apart.

    Raises:
        ConfigError: If it does not.
    """
    return _packed_isolation(_key(spec))


def ignores_padding(spec: BaseSystemSpec) -> bool:
    """Tell whether padding on the right changes nothing before it, so that rows need no mask."""
    return _ignores_padding(_key(spec))


@lru_cache(maxsize=64)
def _ignores_padding(key: str) -> bool:
    return difference_of(_spec_of(key), "padding")[0] < TOLERANCE


def _key(spec: BaseSystemSpec) -> str:
    return spec.model_dump_json()


@lru_cache(maxsize=64)
def _packed_isolation(key: str) -> Isolation:
    found = []
    modes: tuple[Isolation, ...] = ("positions", "mask")
    for mode in modes:
        difference, reason = difference_of(_spec_of(key), mode)
        if difference < TOLERANCE:
            return mode
        found.append(f"by {mode}: {reason or f'logits differ by {difference:.1e}'}")
    raise ConfigError(
        f"packing: packed is refused for {_spec_of(key).name}: samples in one row change each other "
        f"({'; '.join(found)}). Use packing: length_grouped, which wastes little padding."
    )


@lru_cache(maxsize=64)
def _require_mask(key: str, shares_prefix: bool) -> None:
    difference, reason = difference_of(_spec_of(key), "shared_prefix" if shares_prefix else "mask")
    if not difference < TOLERANCE:
        name = "packing: shared_prefix" if shares_prefix else "join_rows"
        raise ConfigError(
            f"{name} is refused for {_spec_of(key).name}: what stands in one row changes each other "
            f"({reason or f'logits differ by {difference:.1e}'}). Use packing: none or length_grouped."
        )


def difference_of(spec: BaseSystemSpec, mode: Mode) -> tuple[float, str]:
    """Return the largest difference of a logit in one row from the same in rows of their own.

    Args:
        spec: The system; a tiny twin of it is tried.
        mode: How the row is made.

    Returns:
        The difference, infinite where the system refuses such a row, and its reason for that.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _compare(_twin(_key(spec)), Path(folder), mode), ""
    except (GeoproseError, RuntimeError, TypeError, ValueError, IndexError) as error:
        return float("inf"), str(error)


@torch.no_grad()
def _compare(twin: Any, folder: Path, mode: Mode) -> float:
    vision = Vision(ImageScan({}, {}), None)
    units = _units(twin, folder, mode == "shared_prefix")
    plain, sharing = (
        RowEncoder(twin, vision, RowOptions(share_prefix=shares)) for shares in (False, mode == "shared_prefix")
    )
    alone = [
        row for unit in units for sample in unit.samples for row in plain.rows(Unit(unit.images, (sample,), unit.root))
    ]
    pad = twin.processor.tokenizer.pad_token_id
    expected_BTD = _logits(twin, Collator(pad)(alone))
    if mode == "padding":
        found_BTD = _logits(twin, Collator(pad, is_causal=True)(alone))
        lengths = [len(row.input_ids) for row in alone]
        return max(float((f[:n] - e[:n]).abs().max()) for f, e, n in zip(found_BTD, expected_BTD, lengths, strict=True))
    if mode == "shared_prefix":
        together = [row for unit in units for row in sharing.rows(unit)]
    else:
        # Why a second row: a shorter one brings padding.
        together = [join(alone), join(alone[:1])]
    found_BTD = _logits(twin, Collator(pad, by_positions=mode == "positions")(together))
    pieces = [(found_BTD[0, at], expected_BTD[number, own]) for number, own, at in _pieces(alone, together[0])]
    return max(float((one - own).abs().max()) for one, own in pieces)


def _logits(twin: Any, batch: dict[str, Tensor]) -> Tensor:
    logits: Tensor = twin.model.lm_head(Forward(twin.model, in_model_dtypes(batch, twin.model)).hidden)
    return logits


def _pieces(alone: Sequence[Row], together: Row) -> list[tuple[int, slice, Tensor]]:
    """Return which tokens of each row alone stand where in the first row of the other batch."""
    if together.sequences:
        numbers = torch.tensor(together.sequences)
        return [(k, slice(0, len(row.input_ids)), (numbers == k).nonzero()[:, 0]) for k, row in enumerate(alone)]
    segments = torch.tensor(together.segments)
    prefix = int((segments == PREFIX_SEGMENT).sum())
    places = [(segments == number).nonzero()[:, 0] for number in range(1, int(segments.max()) + 1)]
    return [(k, slice(prefix, prefix + len(at)), at) for k, at in enumerate(places)]


def _units(twin: Any, folder: Path, shares: bool) -> list[Unit]:
    """Return questions about noise pictures of several sizes and one without a picture; or all about one picture."""
    side = twin.processor.image_processor.resolution["image_size"]
    random = np.random.default_rng(0)
    sizes = [(side, side), None, (2 * side, side + side // 2)]
    for number, size in enumerate(sizes):
        if size is not None:
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    samples = []
    for number, (question, size) in enumerate(zip(_QUESTIONS, sizes, strict=True)):
        image = "0.png" if shares else f"{number}.png"
        shown = shares or size is not None
        text = f"{IMAGE_MARK}\n{question}" if shown else question
        messages = (Message("user", text), Message("assistant", "Three."))
        samples.append(Sample(str(number), (image,) if shown else (), messages))
    if shares:
        return [Unit(samples[0].images, tuple(samples), str(folder))]
    return [Unit(sample.images, (sample,), str(folder)) for sample in samples]


@lru_cache(maxsize=1)
def _twin(key: str) -> Any:
    from geoprose.systems.verify import scrambled_system

    twin = scrambled_system(_spec_of(key))
    twin.model.eval()
    return twin


def _spec_of(key: str) -> Any:
    from geoprose.systems.kinds import kind_of

    values = json.loads(key)
    return kind_of(values["kind"]).spec_type().model_validate(values)
