"""The backbone: vision encoder, connector, fusion and language model, up to the last hidden state.

Shapes: B batch, T text length, N tiles (whole batch), P patches per tile, E encoder width, V visual tokens per tile,
D language-model width, S visuals (pictures or videos of the whole batch).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast

from geoprose.core.errors import ProcessingError
from geoprose.core.registry import options_of
from geoprose.models.config import GeoproseConfig
from geoprose.models.inputs import TextInputs, VisualInputs, state_of
from geoprose.models.language_models import build_language_model
from geoprose.models.masks import prepare_attention_mask
from geoprose.models.parts.contracts import Connector, Fusion, Packer, Positions
from geoprose.models.parts.heads.signals import SignalHead
from geoprose.models.registries import POSITIONS
from geoprose.models.visual_half import VisualHalf

if TYPE_CHECKING:
    from transformers import Cache


@dataclass
class GeoproseModelOutput(BaseModelOutputWithPast):  # type: ignore[misc]  # transformers is untyped
    """What the backbone returns: hidden states (B, T, D), the cache, and visual tokens, one (m, D) per visual."""

    image_hidden_states: tuple[Tensor, ...] | None = None


class GeoprosePreTrainedModel(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """What backbone and head class share."""

    config: GeoproseConfig
    config_class = GeoproseConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012 - the form is the contract of transformers
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        """Save under the names of this class; see ``PreTrainedModel.save_pretrained``."""
        # Why not the default: transformers would write parts under the names of their oldest checkpoints (DINOv2).
        kwargs.setdefault("save_original_format", False)
        return super().save_pretrained(save_directory, **kwargs)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, Connector | Packer | SignalHead):
            module.init_weights()


class GeoproseModel(VisualHalf, GeoprosePreTrainedModel):
    """The backbone: everything up to the last hidden state of the language model.

    Attributes:
        vision_encoder: Pixels to patch features.
        connector: Patch features to visual tokens.
        packer: Visual tokens of tiles to one run per visual.
        fusion: How the runs meet the language model.
        language_model: The decoder without its head.
    """

    def __init__(self, config: GeoproseConfig) -> None:
        super().__init__(config)
        self.build_visual_half(config)
        self.language_model = build_language_model(config.text_config)
        self.fusion: Fusion = self.build_fusion(config, is_encoder_decoder=False)
        position = config.merging()[2]
        self.positions: Positions = POSITIONS.get(position["type"])(**options_of(position))
        self.fusion.attach(self.language_model)
        self.positions.install(self.language_model)
        self.post_init()

    def forward(  # noqa: PLR0913, PLR0917 - the argument list is the contract of transformers
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        vision_features: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> GeoproseModelOutput:
        """Embed the text, merge the visual tokens, run the language model.

        Args:
            input_ids: (B, T) with as many image tokens as the pictures give visual tokens; or give ``inputs_embeds``.
            attention_mask: (B, past + T) with 1 for real tokens; or (B, 1, T, T), bool (True attends) or additive, for
                packed branches; the latter is used as it is and needs ``use_cache=False``.
            position_ids: (B, T) or (3, B, T); by default what the position scheme builds.
            pixel_values: Tiles of all pictures in batch order (N, C, H, W).
            vision_features: Cached encoder output (N, P, E) instead of pixels.
            inputs_embeds: (B, T, D) instead of ids.
            past_key_values: Cache of earlier tokens.
            use_cache: Whether to return a cache.
            **kwargs: The other fields of ``VisualInputs``; what is left goes to the language model.

        Raises:
            ProcessingError: If pictures and placeholders do not match, or the inputs contradict each other.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ProcessingError("Give exactly one of input_ids and inputs_embeds.")
        kwargs.pop("return_dict", None)
        inputs = VisualInputs.take(kwargs)
        inputs.pixel_values, inputs.vision_features = pixel_values, vision_features
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        visuals = self.visuals(inputs) if inputs.has_visuals else None
        past_key_values = self._with_cache(past_key_values, use_cache)
        text = TextInputs(
            inputs_embeds,
            self.get_placeholder_mask(input_ids, inputs_embeds),
            attention_mask,
            past_key_values.get_seq_length() if past_key_values is not None else 0,
            state_of(past_key_values),
        )
        self.merge_branches(text, input_ids, inputs)
        if position_ids is None:
            position_ids = self.positions.build(text, visuals)
            if self.positions.is_owner and attention_mask is None and past_key_values is None:
                # Why: without mask and cache, transformers takes a jump of the ids for the border of packed rows.
                attention_mask = torch.ones_like(text.is_visual_BT, dtype=torch.long)
        outputs = self.fusion(
            self.language_model,
            text,
            visuals,
            attention_mask=prepare_attention_mask(attention_mask, inputs_embeds, self.language_model.config, use_cache),
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        return GeoproseModelOutput(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=None if visuals is None else tuple(visuals.tokens),
        )

    def _with_cache(self, cache: Cache | None, use_cache: bool | None) -> Cache | None:
        """Make the cache ourselves where the language model would: the state of the call rides on it."""
        wants_cache = self.language_model.config.use_cache if use_cache is None else use_cache
        if cache is None and wants_cache and not (self.training and self.is_activation_checkpointing):
            return DynamicCache(config=self.language_model.config)
        return cache
