"""The transformers config of a composite over an encoder-decoder language model."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from geoprose.models.config import GeoproseConfig


@strict
class GeoproseSeq2SeqConfig(GeoproseConfig):
    """Parts of a composite whose language model is an encoder-decoder; attributes as in ``GeoproseConfig``."""

    model_type = "geoprose_seq2seq"
    sub_configs_defaults = {  # noqa: RUF012 - the form is the contract of transformers
        **GeoproseConfig.sub_configs_defaults,
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="t5"),
    }

    fusion: str | dict[str, Any] = "encoder_decoder_prefix"
    position: str | dict[str, Any] = "relative"
    is_encoder_decoder: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        """Tie the head where the decoder's output is scaled.

        Why not ``tie_word_embeddings``: a T5 config of transformers always says True and keeps what was published, a
        tied and scaled head (T5) or a head of its own (T5 1.1, Flan-T5), in ``scale_decoder_outputs``.
        """
        super().__post_init__(**kwargs)
        self.is_encoder_decoder = True
        self.tie_word_embeddings = bool(getattr(self.text_config, "scale_decoder_outputs", self.tie_word_embeddings))
