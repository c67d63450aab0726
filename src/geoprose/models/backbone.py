"""The backbone: vision encoder, connector, fusion and language model, up to the last hidden state.

Shapes: B batch, T text length, N tiles (whole batch), P patches per tile, E encoder width, V visual tokens per tile,
D language-model width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling

from geoprose.core.errors import ProcessingError
from geoprose.models.config import GeoproseConfig
from geoprose.models.masks import prepare_attention_mask
from geoprose.models.parts.contracts import Connector, VisionEncoder
from geoprose.models.registries import CONNECTORS, FUSIONS, PACKERS, POSITIONS, VISION_ENCODERS

if TYPE_CHECKING:
    from transformers import Cache


@dataclass
class GeoproseModelOutput(BaseModelOutputWithPast):  # type: ignore[misc]  # transformers is untyped
    """What the backbone returns: hidden states (B, T, D), the cache, and visual tokens (N, V, D) if it had any."""

    image_hidden_states: Tensor | None = None


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
        if isinstance(module, Connector):
            module.init_weights()


def _options(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "type"}


class GeoproseModel(GeoprosePreTrainedModel):
    """The backbone: everything up to the last hidden state of the language model.

    Attributes:
        vision_encoder: Pixels to patch features.
        connector: Patch features to visual tokens.
        language_model: The decoder without its head.
    """

    def __init__(self, config: GeoproseConfig) -> None:
        super().__init__(config)
        assert config.vision_encoder is not None
        assert config.connector is not None
        encoder_class = VISION_ENCODERS.get(config.vision_encoder["type"])
        self.vision_encoder: VisionEncoder = encoder_class(config.vision_config, **_options(config.vision_encoder))
        connector_class = CONNECTORS.get(config.connector["type"])
        width = config.get_text_config().hidden_size
        self.connector: Connector = connector_class(
            self.vision_encoder.hidden_size, width, **_options(config.connector)
        )
        self.language_model = AutoModel.from_config(config.text_config)
        self.packer = PACKERS.get(config.packer)()
        self.fusion = FUSIONS.get(config.fusion)()
        self.positions = POSITIONS.get(config.position)()
        self.post_init()

    @property
    def num_visual_tokens(self) -> int:
        """V: visual tokens per tile."""
        return self.connector.num_visual_tokens(self.vision_encoder.num_patches())

    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """Run the vision encoder: pixels (N, C, H, W) to patch features (N, P, E), which a feature cache stores."""
        return self.vision_encoder(pixel_values)  # type: ignore[no-any-return]

    def project(self, vision_features: Tensor) -> Tensor:
        """Run the connector: patch features (N, P, E) to visual tokens (N, V, D), in the connector's dtype."""
        dtype = next(self.connector.parameters()).dtype
        return self.connector(vision_features.to(dtype))  # type: ignore[no-any-return]

    def get_image_features(
        self, pixel_values: Tensor | None = None, vision_features: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Return patch features (N, P, E) as ``last_hidden_state`` and visual tokens (N, V, D) as ``pooler_output``.

        Args:
            pixel_values: Tiles of all pictures, concatenated (N, C, H, W).
            vision_features: What ``encode_images`` returned for them, instead of pixels.
            **kwargs: Ignored; generation and serving pass extra inputs.

        Raises:
            ProcessingError: If both or neither are given.
        """
        if (pixel_values is None) == (vision_features is None):
            raise ProcessingError("Give exactly one of pixel_values and vision_features.")
        features = self.encode_images(pixel_values) if pixel_values is not None else vision_features
        assert features is not None
        return BaseModelOutputWithPooling(last_hidden_state=features, pooler_output=self.project(features))

    def get_placeholder_mask(self, input_ids: Tensor | None, inputs_embeds: Tensor) -> Tensor:
        """Return (B, T), True where a visual token belongs.

        Without token ids the placeholders are found as embeddings equal to the image token's.
        """
        if input_ids is not None:
            return input_ids == self.config.image_token_id
        image_token = torch.tensor(self.config.image_token_id, device=inputs_embeds.device)
        is_visual_BT: Tensor = (inputs_embeds == self.get_input_embeddings()(image_token)).all(-1)
        return is_visual_BT

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
            input_ids: (B, T) with ``num_visual_tokens`` image tokens per tile; or give ``inputs_embeds``.
            attention_mask: (B, past + T) with 1 for real tokens; or (B, 1, T, T), bool (True attends) or additive, for
                packed branches; the latter is used as it is and needs ``use_cache=False``.
            position_ids: (B, T); by default 0, 1, 2, ... over real tokens.
            pixel_values: Tiles of all pictures in batch order (N, C, H, W).
            vision_features: Cached encoder output (N, P, E) instead of pixels.
            inputs_embeds: (B, T, D) instead of ids.
            past_key_values: Cache of earlier tokens.
            use_cache: Whether to return a cache.
            **kwargs: Passed to the language model.

        Raises:
            ProcessingError: If pictures and placeholders do not match, or the inputs contradict each other.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ProcessingError("Give exactly one of input_ids and inputs_embeds.")
        kwargs.pop("return_dict", None)
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        visual_NVD = None
        if pixel_values is not None or vision_features is not None:
            visual_NVD = self.get_image_features(pixel_values, vision_features).pooler_output
            is_visual_BT = self.get_placeholder_mask(input_ids, inputs_embeds)
            inputs_embeds = self.fusion.merge(inputs_embeds, self.packer.pack(visual_NVD), is_visual_BT)
        past_length = past_key_values.get_seq_length() if past_key_values is not None else 0
        if position_ids is None:
            position_ids = self.positions.build(attention_mask, past_length, inputs_embeds.shape[1])
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
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
            image_hidden_states=visual_NVD,
        )
