"""The composite: backbone and language-model head as one plain transformers model.

Shapes: B batch, T text length, N tiles (whole batch), P patches per tile, E encoder width, K kept positions,
O vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, GenerationMixin
from transformers.modeling_outputs import BaseModelOutputWithPooling, ModelOutput
from transformers.modeling_utils import slice_logits_to_keep

from geoprose.core.errors import ProcessingError
from geoprose.core.registry import options_of
from geoprose.layout.modalities import input_name
from geoprose.models.backbone import GeoproseModel, GeoprosePreTrainedModel
from geoprose.models.branches import repeat_inputs
from geoprose.models.config import GeoproseConfig
from geoprose.models.expand import repeat_rows
from geoprose.models.inputs import VISUAL_INPUT_NAMES, VisualInputs
from geoprose.models.parts.heads.signals import SignalHeads
from geoprose.models.registries import IMAGE_HEADS

if TYPE_CHECKING:
    from transformers import Cache

    from geoprose.models.parts.contracts import ImageHead


@dataclass
class GeoproseOutput(ModelOutput):  # type: ignore[misc]  # transformers is untyped
    """What the model returns: loss (), logits (B, K, O), the cache, and the visual tokens when it had any."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    image_hidden_states: tuple[Tensor, ...] | None = None


class GeoproseForConditionalGeneration(GeoprosePreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """The backbone and the language-model head; answers by ``generate``."""

    _tied_weights_keys = {  # noqa: RUF012 - the form is the contract of transformers
        "lm_head.weight": "model.language_model.embed_tokens.weight"
    }

    def __init__(self, config: GeoproseConfig) -> None:
        super().__init__(config)
        self.model = GeoproseModel(config)
        text_config = config.get_text_config()
        self.lm_head = nn.Linear(text_config.hidden_size, text_config.vocab_size, bias=False)
        self.image_head: ImageHead | None = None
        if config.image_head is not None:
            head_class = IMAGE_HEADS.get(config.image_head["type"])
            self.image_head = head_class(text_config.hidden_size, **options_of(config.image_head))
        self.signal_heads = SignalHeads(text_config.hidden_size, config.signals) if config.signals else None
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """Return the head."""
        return self.lm_head

    def get_image_features(
        self, pixel_values: Tensor | None = None, vision_features: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """See ``GeoproseModel.get_image_features``."""
        return self.model.get_image_features(pixel_values, vision_features, **kwargs)

    def get_placeholder_mask(self, input_ids: Tensor | None, inputs_embeds: Tensor) -> Tensor:
        """See ``GeoproseModel.get_placeholder_mask``."""
        return self.model.get_placeholder_mask(input_ids, inputs_embeds)

    def forward(  # noqa: PLR0913, PLR0917 - the argument list is the contract of transformers
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        vision_features: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Cache | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> GeoproseOutput:
        """Run the backbone and the head; arguments as in ``GeoproseModel.forward``, and these.

        Args:
            input_ids: (B, T).
            attention_mask: (B, past + T) or (B, 1, T, T).
            position_ids: (B, T).
            pixel_values: (N, C, H, W).
            vision_features: (N, P, E).
            inputs_embeds: (B, T, D).
            past_key_values: Cache of earlier tokens.
            labels: (B, T), not shifted; -100 carries no loss.
            use_cache: Whether to return a cache.
            logits_to_keep: 0 for all positions, n for the last n, or a 1-D index of positions kept for every row. With
                labels, the loss covers the kept positions: position t predicts label t + 1.
            num_items_in_batch: Divisor of the summed loss under gradient accumulation.
            **kwargs: The other fields of ``VisualInputs``; what is left goes to the language model.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            pixel_values=pixel_values,
            vision_features=vision_features,
            inputs_embeds=inputs_embeds,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        logits_BKO = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self._loss(logits_BKO, labels, logits_to_keep, num_items_in_batch)
        return GeoproseOutput(
            loss=loss,
            logits=logits_BKO,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=outputs.image_hidden_states,
        )

    def _loss(
        self,
        logits_BKO: Tensor,
        labels_BT: Tensor,
        logits_to_keep: int | Tensor,
        num_items_in_batch: Tensor | int | None,
    ) -> Tensor:
        next_labels_BT = F.pad(labels_BT, (0, 1), value=-100)[:, 1:]
        kept_BK = slice_logits_to_keep(next_labels_BT.unsqueeze(-1), logits_to_keep).squeeze(-1)
        return self.loss_function(  # type: ignore[no-any-return]
            logits=logits_BKO,
            labels=None,
            shift_labels=kept_BK.contiguous(),
            vocab_size=logits_BKO.shape[-1],
            num_items_in_batch=num_items_in_batch,
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: Cache | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Keep the pictures for the first pass only, or for every pass when there is no cache."""
        visual = VisualInputs.take(kwargs).as_dict()
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids, past_key_values=past_key_values, is_first_iteration=is_first_iteration, **kwargs
        )
        if is_first_iteration or not kwargs.get("use_cache", True):
            inputs.update(visual)
        if self.model.positions.is_owner:
            inputs.pop("position_ids", None)
        return inputs

    def _validate_model_kwargs(self, model_kwargs: dict[str, Any]) -> None:
        # Contract: transformers looks for the names in the signature of forward; ours take VisualInputs as keywords.
        super()._validate_model_kwargs({k: v for k, v in model_kwargs.items() if k not in VISUAL_INPUT_NAMES})

    def _expand_inputs_for_generation(
        self,
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: Tensor | None = None,
        **model_kwargs: Any,
    ) -> tuple[Tensor | None, dict[str, Any]]:
        # Why not super alone: it repeats every tile in place, which breaks the order of rows with several pictures.
        visual = VisualInputs.take(model_kwargs)
        branches = visual.take_modalities()
        if expand_size > 1 and visual.has_visuals:
            visual = repeat_rows(visual, self._tokens_per_row(input_ids), expand_size, self.model)
        if expand_size > 1 and branches:
            branches = repeat_inputs(branches, input_ids, expand_size, self.model)
        input_ids, model_kwargs = super()._expand_inputs_for_generation(
            expand_size, is_encoder_decoder, input_ids, **model_kwargs
        )
        values = {input_name(modality): value for modality, value in branches.items()}
        return input_ids, {**model_kwargs, **visual.as_dict(), **values}

    def _tokens_per_row(self, input_ids: Tensor | None) -> list[int]:
        if input_ids is None:
            raise ProcessingError("Beam search and several returned sequences need input_ids beside the pictures.")
        return (input_ids == self.config.image_token_id).sum(-1).tolist()


AutoConfig.register("geoprose", GeoproseConfig, exist_ok=True)
AutoModel.register(GeoproseConfig, GeoproseModel, exist_ok=True)
AutoModelForImageTextToText.register(GeoproseConfig, GeoproseForConditionalGeneration, exist_ok=True)
