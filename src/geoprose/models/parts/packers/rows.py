"""Packers of systems that end each row of a picture: Fuyu in the text, Emu3 among the codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import ModelError
from geoprose.models.parts.contracts import Packer
from geoprose.models.parts.packers.flat import FlatPacker, split_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.layout.visual import VisualLayout


class RowsNewlinePacker(FlatPacker):
    """Patches in raster order; the row ends are tokens of the text (Fuyu).

    Source:
        ``replace_image_token`` of ``FuyuProcessor`` in transformers.
    """


class EolRowsPacker(Packer):
    """Codes as token ids in raster order, an end-of-line token behind every row (Emu3).

    Args:
        width: Width of the language model; token ids have none.
        eol_token: Name of the end-of-line token.
        eol_id: Its id; filled in from the tokenizer when a system is built.

    Source:
        arXiv:2409.18869 section 2.1; ``convert_img2bpe`` of ``Emu3ImageVocabularyMapping`` in transformers.
    """

    def __init__(self, width: int, eol_token: str = "", eol_id: int = 0) -> None:
        super().__init__(width)
        self.eol_token = eol_token
        self.eol_id = eol_id

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return the ids (rows * (columns * V + 1),) of each visual.

        Raises:
            ModelError: If the tokens are vectors, which have no end-of-line among them.
        """
        if tokens_NVD.is_floating_point():
            raise ModelError("The packer eol_rows takes token ids; use it with the connector vq_embed.")
        packed = []
        for tiles, layout in zip(split_tiles(tokens_NVD, layouts), layouts, strict=True):
            rows = tiles.reshape(layout.frames * layout.rows, -1)
            packed.append(torch.cat([rows, rows.new_full((len(rows), 1), self.eol_id)], dim=1).flatten())
        return packed
