"""What the lexical losses compare with: word embeddings, cell compositions, caption words."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geoprose.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from geoprose.core.types import Sample

_WORD = re.compile(r"[a-z]+")
_MIN_LETTERS = 4
_MAX_VOCABULARY = 2000
_COMMON = frozenset(
    [
        "with",
        "this",
        "that",
        "there",
        "some",
        "many",
        "from",
        "into",
        "which",
        "their",
        "have",
        "been",
        "image",
        "picture",
        "shows",
        "several",
    ]
)


def word_embeddings(system: Any, words: Sequence[str]) -> Tensor:
    """Return the input embedding of each word (C, D): the mean over the tokens it is cut into.

    The word is tokenised after a space, as it stands inside a sentence.
    """
    table = system.model.get_input_embeddings().weight
    tokenizer = system.processor.tokenizer
    rows = []
    for word in words:
        ids = tokenizer(" " + word, add_special_tokens=False)["input_ids"]
        if not ids:
            raise DataError(
                f"The tokenizer makes no token of the word {word!r}, so no visual token can be drawn to it."
            )
        rows.append(table.detach()[torch.tensor(ids)].double().mean(0))
    return torch.stack(rows)


def grids_of(sample: Sample) -> list[list[list[dict[str, float]]]]:
    """Return one grid of cells (rows of columns of {class: fraction}) per image, or nothing.

    ``meta["cell_composition"]`` holds one grid, or a list of grids for a sample with several images.
    """
    value: Any = sample.meta.get("cell_composition")
    if not value:
        return []
    return [value] if isinstance(value[0][0], dict) else list(value)


def cell_targets(unit: Any, classes: Sequence[str], num_visual_tokens: int) -> np.ndarray:
    """Return the class fractions below each visual token, (images, V, C), row by row.

    The grid of cells is resampled to the square grid of tokens by area: finer cells are averaged, coarser ones
    repeated.

    Raises:
        DataError: If no sample of the unit has ``meta["cell_composition"]`` for its images, or the grids do not divide.
    """
    for sample in unit.samples:
        grids = grids_of(sample)
        if grids and len(grids) == len(sample.images):
            return np.stack([_resample(_dense(grid, classes), num_visual_tokens, sample.id) for grid in grids])
    raise DataError(
        f"Sample {unit.samples[0].id} has no meta['cell_composition'] for its images. "
        "Use supervision: captions, or data with dense labels."
    )


def _dense(grid: list[list[dict[str, float]]], classes: Sequence[str]) -> np.ndarray:
    return np.array([[[cell.get(name, 0.0) for name in classes] for cell in row] for row in grid], dtype=np.float32)


def _resample(grid_HWC: np.ndarray, num_visual_tokens: int, sample_id: str) -> np.ndarray:
    side = round(num_visual_tokens**0.5)
    height, width, num_classes = grid_HWC.shape
    if side * side != num_visual_tokens or (side % height and height % side) or (side % width and width % side):
        raise DataError(
            f"Sample {sample_id}: a grid of {height} x {width} cells does not fit {num_visual_tokens} visual tokens. "
            "Make one a multiple of the other."
        )
    grid = np.repeat(grid_HWC, max(1, side // height), axis=0)
    grid = np.repeat(grid, max(1, side // width), axis=1)
    block_rows, block_columns = grid.shape[0] // side, grid.shape[1] // side
    blocks = grid.reshape(side, block_rows, side, block_columns, num_classes)
    mean: np.ndarray = blocks.mean((1, 3)).reshape(num_visual_tokens, num_classes)
    return mean.astype(np.float32, copy=False)


def caption_vocabulary(samples: Iterable[Sample]) -> list[str]:
    """Return the content words of the answers: at least four letters, the most frequent 2,000, sorted."""
    counts: Counter[str] = Counter()
    for sample in samples:
        counts.update(_said(sample))
    kept = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_VOCABULARY]]
    if not kept:
        raise DataError(
            "The answers hold no word of at least four letters, so captions cannot supervise the connector."
        )
    return sorted(kept)


def caption_words(unit: Any, classes: Sequence[str], num_visual_tokens: int) -> np.ndarray:
    """Return 1 where an answer about the unit's images holds a word of ``classes``: (images, C)."""
    said = set().union(*(_said(sample) for sample in unit.samples))
    row = np.array([float(word in said) for word in classes], dtype=np.float32)
    return np.repeat(row[None], len(unit.images), axis=0)


def _said(sample: Sample) -> set[str]:
    text = " ".join(message.text for message in sample.messages if message.role == "assistant").lower()
    return {word for word in _WORD.findall(text) if len(word) >= _MIN_LETTERS and word not in _COMMON}
