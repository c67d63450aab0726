"""Fusions: how visual tokens enter the language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.contracts import Fusion

if TYPE_CHECKING:
    from torch import Tensor


class ScatterFusion(Fusion):
    """Write each visual token over the embedding of one placeholder.

    Placeholders are filled row by row of the batch, so visual tokens must come in batch order.
    """

    def merge(self, embeds_BTD: Tensor, visual_tokens_MD: Tensor, is_visual_BT: Tensor) -> Tensor:
        """Return the embeddings with the placeholders replaced.

        Raises:
            ProcessingError: If the number of placeholders differs from the number of visual tokens.
        """
        num_placeholders = int(is_visual_BT.sum())
        if num_placeholders != visual_tokens_MD.shape[0]:
            raise ProcessingError(
                f"The token ids hold {num_placeholders} image placeholders but the pictures gave "
                f"{visual_tokens_MD.shape[0]} visual tokens. Encode text and pictures with the same processor, do not "
                "truncate the text inside an image, and give every picture of the batch in order."
            )
        # Why not index_put: masked_scatter keeps one kernel and its gradient needs no index tensor.
        visual = visual_tokens_MD.to(device=embeds_BTD.device, dtype=embeds_BTD.dtype)
        return embeds_BTD.masked_scatter(is_visual_BT.unsqueeze(-1), visual)
