"""The fusion of language models that have cross-attention layers of their own (Llama 3.2 Vision).

Shapes: B batch, T text length, M visual tokens of a row (padded), D language-model width.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from geoprose.core.errors import ConfigError
from geoprose.models.parts.contracts import Fusion
from geoprose.models.parts.fusions.media import checked_visible, gather, see

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig
    from transformers.modeling_outputs import BaseModelOutputWithPast

    from geoprose.models.inputs import TextInputs, Visuals

_IS_REAL = "media_is_real"


class CrossAttentionLayersFusion(Fusion):
    """Hand the visual tokens to the cross-attention layers of the language model; its cache keeps their keys.

    A token that sees no picture attends to all tokens of its row's pictures, empty tiles included, and only the
    feed-forward of the layer is closed for it: so the transformers class computes, and so released weights are run.

    Args:
        text_config: The language model's config.
        visible: ``"group"`` as published, ``"last"`` or ``"all"``.

    Source:
        arXiv:2407.21783 section 7.2; ``_prepare_cross_attention_mask`` of transformers' Mllama.
    """

    keeps_state: ClassVar[bool] = True

    def __init__(self, text_config: PreTrainedConfig, visible: str = "group") -> None:
        super().__init__(text_config)
        self.visible = checked_visible(visible)

    def attach(self, language_model: nn.Module) -> None:
        """Change nothing.

        Raises:
            ConfigError: If the language model has no cross-attention layers.
        """
        if not getattr(language_model, "cross_attention_layers", None):
            raise ConfigError(
                f"{type(language_model).__name__} has no cross-attention layers of its own; use it with the fusion "
                "gated_cross_attention, which adds them, or take a language model of type mllama_text_model."
            )

    def forward(
        self, language_model: nn.Module, text: TextInputs, visuals: Visuals | None, **lm_inputs: Any
    ) -> BaseModelOutputWithPast:
        """Run the language model with the pictures of this pass, and the mask over those of earlier ones too.

        Raises:
            ProcessingError: If pictures and placeholders differ in number.
        """
        media = None
        if visuals is not None and len(visuals.tokens):
            media = gather(text, visuals)
            is_real_BM = gather(text, _real_tokens(visuals)).tokens_BME[..., 0] > 0
            known = text.state.get(_IS_REAL)
            text.state[_IS_REAL] = is_real_BM if known is None else torch.cat([known, is_real_BM], dim=-1)
        visible_BTM = see(text, media, self.visible)
        if visible_BTM is not None:
            lm_inputs |= self._masks(text, visible_BTM)
        if media is not None:
            lm_inputs["cross_attention_states"] = media.tokens_BME
        return language_model(inputs_embeds=text.embeds_BTD, **lm_inputs)

    @staticmethod
    def _masks(text: TextInputs, visible_BTM: Tensor) -> dict[str, Tensor]:
        dtype = text.embeds_BTD.dtype
        open_BTM = visible_BTM & text.state[_IS_REAL][:, None]
        sees_BT1 = open_BTM.any(-1, keepdim=True)
        is_picture_B1M = text.state["media_picture"][:, None] > 0
        closed_BTM = ~(open_BTM | (~sees_BT1 & is_picture_B1M))
        mask = torch.zeros(closed_BTM.shape, dtype=dtype, device=closed_BTM.device)
        return {
            "cross_attention_mask": mask.masked_fill(closed_BTM, torch.finfo(dtype).min)[:, None],
            "full_text_row_masked_out_mask": sees_BT1[:, None].to(dtype),
        }


def _real_tokens(visuals: Visuals) -> Visuals:
    """Return 1 for each token of a tile, 0 for those of the empty tiles behind them, as visuals of width 1."""
    real = [
        (torch.arange(len(run), device=run.device) < layout.num_tiles * visuals.tokens_per_tile)[:, None].to(run.dtype)
        for run, layout in zip(visuals.tokens, visuals.layouts, strict=True)
    ]
    return replace(visuals, tokens=real)
