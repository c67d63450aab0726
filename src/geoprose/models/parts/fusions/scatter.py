"""Visual tokens take the place of placeholders in the sequence of word embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.contracts import Fusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn
    from transformers.modeling_outputs import BaseModelOutputWithPast

    from geoprose.models.inputs import TextInputs, Visuals


class ScatterFusion(Fusion):
    """Write each visual token over the embedding of one placeholder.

    Placeholders are filled row by row of the batch, so visual tokens must come in batch order.
    """

    def forward(
        self, language_model: nn.Module, text: TextInputs, visuals: Visuals | None, **lm_inputs: Any
    ) -> BaseModelOutputWithPast:
        """Merge, then run the language model on embeddings.

        Raises:
            ProcessingError: If the number of placeholders differs from the number of visual tokens.
        """
        embeds_BTD = text.embeds_BTD
        if visuals is not None:
            embeds_BTD = scatter(embeds_BTD, visuals.tokens, text.is_visual_BT)
        return language_model(inputs_embeds=embeds_BTD, **lm_inputs)


def scatter(embeds_BTD: Tensor, tokens: Sequence[Tensor], is_visual_BT: Tensor) -> Tensor:
    """Return the embeddings with the placeholders replaced, in batch order.

    Args:
        embeds_BTD: Embeddings of the text.
        tokens: Visual tokens, one (m, D) per visual.
        is_visual_BT: True where a placeholder stands.

    Raises:
        ProcessingError: If the number of placeholders differs from the number of visual tokens.
    """
    num_placeholders, num_tokens = int(is_visual_BT.sum()), sum(len(visual) for visual in tokens)
    if num_placeholders != num_tokens:
        raise ProcessingError(
            f"The token ids hold {num_placeholders} image placeholders but the pictures gave {num_tokens} visual "
            "tokens. Encode text and pictures with the same processor, do not truncate the text inside an image, and "
            "give every picture of the batch in order."
        )
    if not tokens:
        return embeds_BTD
    if tokens[0].shape[-1] != embeds_BTD.shape[-1]:
        # Contract: masked_scatter fills by count and would take the wrong numbers without a word.
        raise ProcessingError(
            f"Visual tokens of width {tokens[0].shape[-1]} cannot stand among words of width {embeds_BTD.shape[-1]}; "
            "let the connector project to the language model's width."
        )
    # Why not index_put: masked_scatter keeps one kernel and its gradient needs no index tensor.
    visual = torch.cat(list(tokens)).to(device=embeds_BTD.device, dtype=embeds_BTD.dtype)
    return embeds_BTD.masked_scatter(is_visual_BT.unsqueeze(-1), visual)
