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

Cells = list[dict[str, float]]
"""The share of each class in each cell of one picture or several, row by row."""
Pictures = tuple[str, tuple[str, ...]]
"""Folder, and paths below it, of the pictures that a sample shows."""

_WORD = re.compile(r"[a-z]+")
_MIN_LETTERS = 4
_MAX_VOCABULARY = 1000
_CONTRAST_GAIN, _CONTRAST_FLOOR, _CONTRAST_POWER = 3.0, 0.05, 4
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


def cells_of(sample: Sample) -> Cells:
    """Return the cells of ``meta["cell_composition"]``: {class: fraction}, row by row, image after image.

    The value is a flat list, or nested lists of it (rows, images).
    """

    def flatten(value: Any) -> list[dict[str, float]]:
        if isinstance(value, dict):
            return [value]
        return [cell for item in value or () for cell in flatten(item)]

    return flatten(sample.meta.get("cell_composition"))


def labelled_pictures(sources: Sequence[tuple[str, Sequence[Sample]]]) -> dict[Pictures, Cells]:
    """Return the cells of each picture, or pictures of one question, that any sample of them brings.

    A stage may draw some of a picture's samples only, and sources may hold different pictures under one name.

    Args:
        sources: Folder and samples of each source.

    Raises:
        DataError: If there are pictures without cells in any of their samples: how many samples, and the first of them.
    """
    samples = [(root, sample) for root, own in sources for sample in own]
    labelled: dict[Pictures, Cells] = {}
    for root, sample in samples:
        if cells := cells_of(sample):
            labelled.setdefault((root, sample.images), cells)
    bare = [sample.id for root, sample in samples if (root, sample.images) not in labelled]
    if bare:
        raise DataError(
            f"{len(bare)} of {len(samples)} samples show pictures without meta['cell_composition'], the first is "
            f"{bare[0]}. Use supervision: captions, or data with dense labels."
        )
    return labelled


def token_cover(connector: Any, num_visual_tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which visual tokens show something of the picture, and which cells each of them shows.

    A connector whose tokens are not one a cell says so with a method ``token_cover() -> Tensor`` (V, S * S): the share
    of each cell in each token. A negative share stands for a contrast, such as the north half minus the south half; a
    token without any share, such as a marker, shows nothing.

    Returns:
        Places of the U tokens that show something, and their shares (U, S * S).

    Raises:
        DataError: If the tokens are not a square grid and the connector does not say what they cover.
    """
    if hasattr(connector, "token_cover"):
        cover: np.ndarray = connector.token_cover().detach().cpu().float().numpy()
        places = np.flatnonzero(np.abs(cover).sum(-1))
        return places, cover[places]
    side = round(num_visual_tokens**0.5)
    if side * side != num_visual_tokens:
        raise DataError(f"{num_visual_tokens} visual tokens are not a square grid, so cells cannot supervise them.")
    return np.arange(num_visual_tokens), np.eye(num_visual_tokens, dtype=np.float32)


def cell_targets(cells: Cells, images: tuple[str, ...], classes: Sequence[str], cover_US: np.ndarray) -> np.ndarray:
    """Return the class shares each of the U tokens should show and its weight, (images, U, C + 1).

    The cells of an image are a square grid. It is resampled to the grid of tokens by area: finer cells are averaged,
    coarser ones repeated. Let ``g = cover @ cells``. A token that covers cells takes the shares ``g / sum(g)`` with
    weight ``sum(g)``, how much of it is labelled. A contrast takes the classes that lie more on its positive side,
    ``h = max(g, 0)``, each where it leans most: ``h' = h (h / max over the contrasts of h)^4``, normalised, with weight
    ``3 sum(h')`` clipped to 0.05..1: no contrast, nothing to say.

    Raises:
        DataError: If the cells are not as many for each image, or the grids do not divide.
    """
    where, num_images = ", ".join(images), len(images)
    if not cells or len(cells) % num_images:
        raise DataError(f"{where}: {len(cells)} cells for {num_images} images; give each as many.")
    rows = np.array([[cell.get(name, 0.0) for name in classes] for cell in cells], dtype=np.float32)
    grids = rows.reshape(num_images, -1, len(classes))
    return np.stack([_token_targets(_resample(grid, cover_US.shape[1], where), cover_US) for grid in grids])


def _token_targets(cells_SC: np.ndarray, cover_US: np.ndarray) -> np.ndarray:
    shown_UC = np.clip(cover_US @ cells_SC, 0.0, None)
    is_contrast_U = (cover_US < 0).any(-1)
    leaning_KC = shown_UC[is_contrast_U]
    most_C = leaning_KC.max(0, initial=1e-9)
    shown_UC[is_contrast_U] = leaning_KC * (leaning_KC / most_C) ** _CONTRAST_POWER
    total_U = shown_UC.sum(-1)
    weight_U = np.where(is_contrast_U, np.clip(_CONTRAST_GAIN * total_U, _CONTRAST_FLOOR, 1.0), total_U)
    shares_UC = shown_UC / np.maximum(total_U, 1e-6)[:, None]
    return np.concatenate([shares_UC, weight_U[:, None]], axis=-1).astype(np.float32)


def _resample(cells_PC: np.ndarray, num_tokens: int, where: str) -> np.ndarray:
    side, cells_side = round(num_tokens**0.5), round(len(cells_PC) ** 0.5)
    if cells_side**2 != len(cells_PC) or (side % cells_side and cells_side % side):
        raise DataError(
            f"{where}: {len(cells_PC)} cells do not fit a grid of {side} x {side} visual tokens. "
            "Make the side of one a multiple of the other's."
        )
    num_classes = cells_PC.shape[1]
    repeat, block = max(1, side // cells_side), max(1, cells_side // side)
    grid = cells_PC.reshape(cells_side, cells_side, num_classes).repeat(repeat, 0).repeat(repeat, 1)
    mean: np.ndarray = grid.reshape(side, block, side, block, num_classes).mean((1, 3)).reshape(-1, num_classes)
    return mean


def caption_vocabulary(samples: Iterable[Sample]) -> list[str]:
    """Return the content words of the answers: at least four letters, the most frequent 1,000, sorted."""
    counts: Counter[str] = Counter()
    for sample in samples:
        counts.update(_said(sample))
    kept = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_VOCABULARY]]
    if not kept:
        raise DataError(
            "The answers hold no word of at least four letters, so captions cannot supervise the connector."
        )
    return sorted(kept)


def caption_words(unit: Any, classes: Sequence[str]) -> np.ndarray:
    """Return 1 where an answer about the unit's images holds a word of ``classes``: (images, C)."""
    said = set().union(*(_said(sample) for sample in unit.samples))
    row = np.array([float(word in said) for word in classes], dtype=np.float32)
    return np.repeat(row[None], len(unit.images), axis=0)


def _said(sample: Sample) -> set[str]:
    text = " ".join(message.text for message in sample.messages if message.role == "assistant").lower()
    return {word for word in _WORD.findall(text) if len(word) >= _MIN_LETTERS and word not in _COMMON}
