"""Codes of an image tokenizer to token ids of the language model's own vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.contracts import Connector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class VqEmbedConnector(Connector):
    """A table: code k is the token ``ids[k]``, whose embedding the language model has already.

    The fusion ``token_ids`` looks the embeddings up, so a picture and a text share one table of vectors.

    Args:
        in_size: Number of codes.
        out_size: Width of the language model.
        token: Name of a code's token, with ``{code}`` or ``{letters}`` (its decimal digits as A to J), such as
            ``<|visual token {code:06d}|>``.
        ids: Token id of every code; one number when they follow each other from there. Filled in from the tokenizer
            when a system is built.

    Source:
        arXiv:2405.09818 section 2.1 (Chameleon); ``ImageVocabularyMapping`` of transformers.
    """

    def __init__(self, in_size: int, out_size: int, token: str = "", ids: int | Sequence[int] = 0) -> None:
        super().__init__(in_size, out_size)
        self.in_size = in_size
        self.out_size = out_size
        self.token = token
        self.ids = tuple(range(ids, ids + in_size)) if isinstance(ids, int) else tuple(ids)
        if len(self.ids) != in_size:
            raise ConfigError(f"The connector vq_embed has {len(self.ids)} token ids for {in_size} codes.")
        # Why not a buffer: the table is config, and a checkpoint of the published layout has no tensor for it.
        self._tables: dict[torch.device, Tensor] = {}

    def table(self, device: torch.device) -> Tensor:
        """Return the token id of every code (in_size,)."""
        if device not in self._tables:
            self._tables[device] = torch.tensor(self.ids, device=device)
        return self._tables[device]

    def take(self, weight_KD: Tensor) -> Tensor:
        """Return the rows of an embedding, or of a head, that belong to codes (in_size, D); a view where it can be."""
        first, last = self.ids[0], self.ids[-1]
        if self.ids == tuple(range(first, last + 1)):
            return weight_KD[first : last + 1]
        return weight_KD[self.table(weight_KD.device)]

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return the token ids (N, P) of codes (N, P).

        Raises:
            ProcessingError: If they are no codes.
        """
        if features_NPE.is_floating_point() or features_NPE.ndim != 2:
            raise ProcessingError(
                f"The connector vq_embed takes integer codes (N, P), got {features_NPE.dtype} of shape "
                f"{tuple(features_NPE.shape)}; use it with the encoder vq."
            )
        return self.table(features_NPE.device)[features_NPE]

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return ``num_patches``."""
        return num_patches
