"""Multimodal rotary position embedding: every token has a place in time, height and width.

Shapes: B batch, T text length, F rotary frequencies (half the head width), n tokens of one visual.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.positions.segments import SegmentPositions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.models.inputs import Visuals

Advance = Literal["hf5", "max_plus_one"]
Grid = tuple[int, int, int]


class Mrope(SegmentPositions):
    """Ids (3, B, T): text has three equal ids, a visual token those of its step in time, row and column.

    A visual that starts at id p gives its cell (t, y, x) the ids (p + t, p + y, p + x). Visual tokens that stand on no
    grid count like words.

    Args:
        sections: Rotary frequencies of time, height and width; their sum is half the head width.
        advance: Where the text behind a visual goes on. ``max_plus_one``: behind the largest of its ids (the paper, and
            the code the weights were trained with). ``hf5``: behind its longer edge (transformers 5), which differs
            for a video with more steps in time than tokens along an edge; generated text goes on behind the largest id
            in both.

    Source:
        arXiv:2409.12191 section 2.1 and figure 3; ``get_rope_index`` of transformers' Qwen2-VL.
    """

    num_axes = 3

    def __init__(self, sections: Sequence[int] = (16, 24, 24), advance: Advance = "max_plus_one") -> None:
        if len(sections) != 3 or min(sections) < 0:
            raise ConfigError(f"position.sections must be three numbers (time, height, width), got {list(sections)}.")
        if advance not in ("hf5", "max_plus_one"):
            raise ConfigError(f"Unknown advance {advance!r}. Known: hf5, max_plus_one.")
        self.sections = tuple(sections)
        self.advance = advance

    def install(self, language_model: nn.Module) -> None:
        """Give the language model a rotary embedding of three axes.

        Raises:
            ConfigError: If it has none, or one of another width.
        """
        rotary = getattr(language_model, "rotary_emb", None)
        frequencies = getattr(rotary, "inv_freq", None)
        if not isinstance(rotary, nn.Module) or frequencies is None:
            raise ConfigError(
                f"{type(language_model).__name__} has no rotary embedding that the positions mrope could replace; "
                "choose a language model such as qwen2 or llama, or the position rope1d."
            )
        if sum(self.sections) != len(frequencies):
            raise ConfigError(
                f"position.sections {list(self.sections)} sum to {sum(self.sections)}, but the language model rotates "
                f"{len(frequencies)} frequencies."
            )
        language_model.rotary_emb = MultimodalRotary(rotary, self.sections)
        super().install(language_model)

    def place(self, visuals: Visuals, index: int) -> tuple[Tensor, int]:
        """Return the ids (3, n) of a visual that starts at id 0, and the id of the text behind it."""
        grids = self._grids(visuals, index)
        if not grids:
            count = len(visuals.tokens[index])
            return torch.arange(count).expand(3, -1), count
        pieces, start = [], 0
        for grid in grids:
            pieces.append(torch.cartesian_prod(*(torch.arange(size) for size in grid)).T + start)
            start += max(grid) if self.advance == "max_plus_one" else max(grid[1:])
        return torch.cat(pieces, dim=-1), start

    def _grids(self, visuals: Visuals, index: int) -> list[Grid]:
        """Return the grids of a visual: one over all its tokens, or one per tile where tiles have many tokens.

        None where the tokens are no grid, such as a resampler's queries or rows with separators.
        """
        layout, side = visuals.layouts[index], math.isqrt(visuals.tokens_per_tile)
        num_tokens = len(visuals.tokens[index])
        if side == 1 and layout.frames * layout.rows * layout.columns == num_tokens:
            return [(layout.frames, layout.rows, layout.columns)]
        if side**2 == visuals.tokens_per_tile and layout.num_tiles * visuals.tokens_per_tile == num_tokens:
            return [(1, side, side)] * layout.num_tiles
        return []


class MultimodalRotary(nn.Module):
    """Cosine and sine of a rotary embedding whose frequencies follow three axes, section by section.

    Args:
        rotary: The language model's own; gives the angles of one axis, whatever its kind of scaling.
        sections: Frequencies of time, height and width, each a part of the F frequencies; used in order, so sections
            (2, 1, 1) of four frequencies rotate by time, time, height, width.

    Source:
        ``recomposition_frequencies`` of transformers' Qwen2-VL rotary embedding.
    """

    def __init__(self, rotary: nn.Module, sections: Sequence[int]) -> None:
        super().__init__()
        self.rotary = rotary
        self.sections = list(sections)

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosine and sine (B, T, 2 F) for ids (B, T) or (3, B, T)."""
        if position_ids.ndim == 2:
            plain: tuple[Tensor, Tensor] = self.rotary(x, position_ids)
            return plain
        axes, batch, length = position_ids.shape
        if axes != len(self.sections):
            raise ProcessingError(f"Position ids must be (B, T) or (3, B, T), got {tuple(position_ids.shape)}.")
        cos, sin = self.rotary(x, position_ids.reshape(axes * batch, length))
        return self._mixed(cos, batch), self._mixed(sin, batch)

    def _mixed(self, values: Tensor, batch: int) -> Tensor:
        half = values.reshape(3, batch, *values.shape[1:]).chunk(2, dim=-1)[0]
        parts = torch.split(half, self.sections, dim=-1)
        mixed = torch.cat([part[axis] for axis, part in enumerate(parts)], dim=-1)
        return torch.cat([mixed, mixed], dim=-1)
