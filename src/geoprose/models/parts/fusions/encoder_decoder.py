"""Visual tokens take the place of placeholders in the text that an encoder-decoder language model encodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from geoprose.models.parts.contracts import Fusion
from geoprose.models.parts.fusions.scatter import scatter

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from transformers.modeling_outputs import BaseModelOutput

    from geoprose.models.inputs import TextInputs, Visuals

TYPE_STD = 0.02


class EncoderDecoderPrefixFusion(Fusion):
    """Write each visual token over the embedding of one placeholder of the encoder's text.

    Args:
        text_config: The language model's config.
        modal_types: Add a learned vector to every text embedding and another to every visual token, ``x + m[0]`` and
            ``v + m[1]`` (EM-VLM4AD).

    Source:
        BLIP-2 arXiv:2301.12597 section 3.3 (visual tokens in front of the encoder's text); EM-VLM4AD arXiv:2403.19838.
    """

    is_encoder_decoder: ClassVar[bool] = True

    def __init__(self, text_config: PreTrainedConfig, modal_types: bool = False) -> None:
        super().__init__(text_config)
        self.modal_types = nn.Embedding(2, text_config.hidden_size) if modal_types else None
        if self.modal_types is not None:
            nn.init.normal_(self.modal_types.weight, std=TYPE_STD)

    def forward(
        self, language_model: nn.Module, text: TextInputs, visuals: Visuals | None, **lm_inputs: Any
    ) -> BaseModelOutput:
        """Merge, then run the encoder of the language model on embeddings.

        Raises:
            ProcessingError: If the number of placeholders differs from the number of visual tokens.
        """
        embeds_BTD = text.embeds_BTD
        if visuals is not None:
            embeds_BTD = scatter(embeds_BTD, visuals.tokens, text.is_visual_BT)
        if self.modal_types is not None:
            embeds_BTD = embeds_BTD + self.modal_types(text.is_visual_BT.long())
        return language_model(inputs_embeds=embeds_BTD, **lm_inputs)
