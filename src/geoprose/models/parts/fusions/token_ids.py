"""Discrete visual tokens: pictures are words of the language model's own vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ModelError
from geoprose.models.parts.contracts import Fusion
from geoprose.models.parts.fusions.scatter import scatter

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers.modeling_outputs import BaseModelOutputWithPast

    from geoprose.models.inputs import TextInputs, Visuals


class TokenIdsFusion(Fusion):
    """Put the embedding of each visual token id where a placeholder stands (Chameleon, Emu3).

    One table embeds words and picture codes, and one transformer reads both from its first layer on.

    Source:
        arXiv:2405.09818; ``ChameleonModel.get_image_features`` of transformers.
    """

    def forward(
        self, language_model: nn.Module, text: TextInputs, visuals: Visuals | None, **lm_inputs: Any
    ) -> BaseModelOutputWithPast:
        """Embed the ids, merge, then run the language model.

        Raises:
            ModelError: If the connector gives vectors.
            ProcessingError: If the number of placeholders differs from the number of visual tokens.
        """
        embeds_BTD = text.embeds_BTD
        if visuals is not None:
            embed: Any = language_model.get_input_embeddings()  # type: ignore[operator]
            vectors = [embed(_checked(ids)) for ids in visuals.tokens]
            embeds_BTD = scatter(embeds_BTD, vectors, text.is_visual_BT)
        return language_model(inputs_embeds=embeds_BTD, **lm_inputs)


def _checked(ids: Tensor) -> Tensor:
    if ids.is_floating_point() or ids.ndim != 1:
        raise ModelError("The fusion token_ids takes token ids; use it with the connector vq_embed.")
    return ids
