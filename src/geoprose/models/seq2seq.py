"""Composites over an encoder-decoder language model: visual tokens enter the encoder's text, the decoder answers.

Shapes: B batch, T text length of the encoder, A answer length of the decoder, N tiles (whole batch), K kept positions,
D language-model width, O vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, GenerationMixin
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqModelOutput

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.core.registry import options_of
from geoprose.models.backbone import GeoprosePreTrainedModel
from geoprose.models.composite import GeoproseOutput
from geoprose.models.inputs import VISUAL_INPUT_NAMES, TextInputs, VisualInputs
from geoprose.models.language_models import build_language_model
from geoprose.models.registries import POSITIONS
from geoprose.models.seq2seq_config import GeoproseSeq2SeqConfig
from geoprose.models.visual_half import VisualHalf

if TYPE_CHECKING:
    from transformers import Cache, GenerationConfig
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    from geoprose.models.parts.contracts import Fusion, Positions


@dataclass
class GeoproseSeq2SeqModelOutput(Seq2SeqModelOutput):  # type: ignore[misc]  # transformers is untyped
    """What the backbone returns: states of the decoder (B, A, D) and of the encoder, and visual tokens per visual."""

    image_hidden_states: tuple[Tensor, ...] | None = None


class GeoproseSeq2SeqModel(VisualHalf, GeoprosePreTrainedModel):
    """Everything up to the last hidden state of the decoder.

    Attributes:
        vision_encoder: Pixels to patch features.
        connector: Patch features to visual tokens.
        packer: Visual tokens of tiles to one run per visual.
        fusion: How the runs meet the encoder.
        language_model: Encoder and decoder without the head.
    """

    config: GeoproseSeq2SeqConfig
    config_class = GeoproseSeq2SeqConfig

    def __init__(self, config: GeoproseSeq2SeqConfig) -> None:
        super().__init__(config)
        self.build_visual_half(config)
        self.language_model = build_language_model(config.text_config)
        self.fusion: Fusion = self.build_fusion(config, is_encoder_decoder=True)
        position = config.merging()[2]
        if position["type"] != "relative":
            raise ConfigError(
                f"position {position['type']} gives ids to a decoder; an encoder-decoder language model counts by "
                "itself. Set position to relative."
            )
        self.positions: Positions = POSITIONS.get(position["type"])(**options_of(position))
        self.fusion.attach(self.language_model)
        self.post_init()

    def encode(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        visual_inputs: VisualInputs | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """Run the visual half and the language model's encoder.

        Args:
            input_ids: (B, T) with as many image tokens as the pictures give visual tokens; or give ``inputs_embeds``.
            attention_mask: 1 for real tokens (B, T).
            inputs_embeds: (B, T, D) instead of ids.
            visual_inputs: The pictures.
            **kwargs: Passed to the encoder.

        Raises:
            ProcessingError: If pictures and placeholders do not match, or the inputs contradict each other.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ProcessingError("Give exactly one of input_ids and inputs_embeds.")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        has_visuals = visual_inputs is not None and visual_inputs.has_visuals
        visuals = self.visuals(visual_inputs) if has_visuals and visual_inputs is not None else None
        text = TextInputs(inputs_embeds, self.get_placeholder_mask(input_ids, inputs_embeds), attention_mask, 0)
        self.merge_branches(text, input_ids, visual_inputs or VisualInputs())
        outputs: Any = self.fusion(self.language_model.encoder, text, visuals, attention_mask=attention_mask, **kwargs)
        return EncodedText(
            last_hidden_state=outputs.last_hidden_state,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=None if visuals is None else tuple(visuals.tokens),
        )

    def forward(  # noqa: PLR0913, PLR0917 - the argument list is the contract of transformers
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        vision_features: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> GeoproseSeq2SeqModelOutput:
        """Encode text and pictures, unless ``encoder_outputs`` are given, and run the decoder.

        Args:
            input_ids: Text of the encoder (B, T); see ``encode``.
            attention_mask: 1 for its real tokens (B, T).
            pixel_values: Tiles of all pictures in batch order (N, C, H, W).
            vision_features: Cached output of the vision encoder (N, P, E) instead of pixels.
            inputs_embeds: (B, T, D) instead of ids.
            decoder_input_ids: (B, A), or the newest of them with a cache.
            decoder_attention_mask: 1 for their real tokens.
            decoder_inputs_embeds: (B, A, D) instead of ids.
            encoder_outputs: What ``encode`` returned.
            past_key_values: Cache of earlier tokens of the decoder and of the encoder's keys.
            use_cache: Whether to return a cache.
            **kwargs: The other fields of ``VisualInputs``; what is left goes to the language model.

        Raises:
            ProcessingError: If pictures and placeholders do not match, or the inputs contradict each other.
        """
        kwargs.pop("return_dict", None)
        visual_inputs = VisualInputs.take(kwargs)
        visual_inputs.pixel_values, visual_inputs.vision_features = pixel_values, vision_features
        if encoder_outputs is None:
            encoder_outputs = self.encode(input_ids, attention_mask, inputs_embeds, visual_inputs, **kwargs)
        outputs = self.language_model(
            encoder_outputs=encoder_outputs,
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            decoder_attention_mask=decoder_attention_mask,
            decoder_inputs_embeds=decoder_inputs_embeds,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        return GeoproseSeq2SeqModelOutput(
            **outputs, image_hidden_states=getattr(encoder_outputs, "image_hidden_states", None)
        )


@dataclass
class EncodedText(BaseModelOutput):  # type: ignore[misc]  # transformers is untyped
    """What ``encode`` returns: states of the encoder (B, T, D) and the visual tokens, one (m, D) per visual."""

    image_hidden_states: tuple[Tensor, ...] | None = None


class GeoproseForSeq2Seq(GeoprosePreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """The backbone and the language-model head; answers by ``generate``."""

    config: GeoproseSeq2SeqConfig
    config_class = GeoproseSeq2SeqConfig
    _tied_weights_keys = {  # noqa: RUF012 - the form is the contract of transformers
        "lm_head.weight": "model.language_model.shared.weight"
    }

    def __init__(self, config: GeoproseSeq2SeqConfig) -> None:
        super().__init__(config)
        self.model = GeoproseSeq2SeqModel(config)
        text_config = config.get_text_config()
        self.lm_head = nn.Linear(text_config.hidden_size, text_config.vocab_size, bias=False)
        is_scaled = getattr(text_config, "scale_decoder_outputs", False)
        self.loss_type = "ForCausalLM"  # transformers guesses it from the names of classes and does not know this one
        self.output_scale = float(text_config.hidden_size) ** -0.5 if is_scaled else 1.0
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """Return the head."""
        return self.lm_head

    def get_image_features(
        self, pixel_values: Tensor | None = None, vision_features: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """See ``VisualHalf.get_image_features``."""
        return self.model.get_image_features(pixel_values, vision_features, **kwargs)

    def forward(  # noqa: PLR0913, PLR0917 - the argument list is the contract of transformers
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        vision_features: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: Cache | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> GeoproseOutput:
        """Run the backbone and the head; arguments as in ``GeoproseSeq2SeqModel.forward``, and these.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T).
            pixel_values: (N, C, H, W).
            vision_features: (N, P, E).
            inputs_embeds: (B, T, D).
            decoder_input_ids: (B, A); made of the labels where only those are given.
            decoder_attention_mask: (B, A).
            decoder_inputs_embeds: (B, A, D).
            encoder_outputs: What the backbone's ``encode`` returned.
            past_key_values: Cache of earlier tokens.
            labels: The answer (B, A), not shifted; -100 carries no loss.
            use_cache: Whether to return a cache.
            num_items_in_batch: Divisor of the summed loss under gradient accumulation.
            **kwargs: The other fields of ``VisualInputs``; what is left goes to the language model.
        """
        if labels is not None and decoder_input_ids is None and decoder_inputs_embeds is None:
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            pixel_values=pixel_values,
            vision_features=vision_features,
            inputs_embeds=inputs_embeds,
            decoder_input_ids=decoder_input_ids,
            decoder_attention_mask=decoder_attention_mask,
            decoder_inputs_embeds=decoder_inputs_embeds,
            encoder_outputs=encoder_outputs,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        logits_BAO = self.lm_head(outputs.last_hidden_state * self.output_scale)
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits_BAO,
                labels=None,
                shift_labels=labels,
                vocab_size=logits_BAO.shape[-1],
                num_items_in_batch=num_items_in_batch,
            )
        return GeoproseOutput(
            loss=loss,
            logits=logits_BAO,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.decoder_hidden_states,
            attentions=outputs.decoder_attentions,
            image_hidden_states=outputs.image_hidden_states,
        )

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Return what the decoder reads while it learns ``labels``: the start token, then all but the last (B, A)."""
        start = self.generation_config.decoder_start_token_id
        padding = self.config.get_text_config().pad_token_id
        shifted: Tensor = F.pad(labels, (1, 0), value=padding if start is None else start)[:, :-1]
        return shifted.masked_fill(shifted == -100, padding)

    def _prepare_text_encoder_decoder_kwargs_for_generation(
        self,
        inputs_tensor: Tensor,
        model_kwargs: dict[str, Any],
        model_input_name: str | None,
        generation_config: GenerationConfig,
    ) -> dict[str, Any]:
        # Why not super: it would run the bare encoder, without the pictures.
        visual = VisualInputs.take(model_kwargs)
        name = model_input_name or self.main_input_name
        model_kwargs["encoder_outputs"] = self.model.encode(
            attention_mask=model_kwargs.get("attention_mask"), visual_inputs=visual, **{name: inputs_tensor}
        )
        return model_kwargs

    def _validate_model_kwargs(self, model_kwargs: dict[str, Any]) -> None:
        # Contract: transformers looks for the names in the signature of forward; ours take VisualInputs as keywords.
        super()._validate_model_kwargs({k: v for k, v in model_kwargs.items() if k not in VISUAL_INPUT_NAMES})


AutoConfig.register("geoprose_seq2seq", GeoproseSeq2SeqConfig, exist_ok=True)
AutoModel.register(GeoproseSeq2SeqConfig, GeoproseSeq2SeqModel, exist_ok=True)
AutoModelForImageTextToText.register(GeoproseSeq2SeqConfig, GeoproseForSeq2Seq, exist_ok=True)
