"""BLIP-2 and InstructBLIP: ``Blip2ForConditionalGeneration`` and ``InstructBlipForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import Blip2Config, InstructBlipConfig

from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.key_map import Rule

_QFORMER_NAMES = {
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "cross_attention_frequency": "cross_attention_frequency",
    "vocab_size": "vocab_size",
    "max_positions": "max_position_embeddings",
}
# Where the layers of a language model hang in the class with a head: OPT wraps its decoder once more.
_LANGUAGE_PREFIX = {"opt": "language_model.model.decoder", "t5": "language_model"}


class Blip2Reference(Reference):
    """EVA-CLIP-g, a Q-Former, a language model with its head."""

    architecture = "Blip2ForConditionalGeneration"

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        text_config: Any = ours.text_config
        language = _LANGUAGE_PREFIX.get(text_config.model_type, "language_model.model")
        return KeyMap(
            [
                Rename("model.vision_encoder.tower.{rest}", "vision_model.{rest}"),
                Rename("model.connector.query_tokens", "query_tokens"),
                *self._qformer_rules(),
                Rename("model.connector.projection.{rest}", "language_projection.{rest}"),
                Rename("lm_head.{rest}", "language_model.lm_head.{rest}"),
                Rename("model.language_model.{rest}", f"{language}.{{rest}}"),
            ]
        )

    def _qformer_rules(self) -> list[Rule]:
        return [Rename("model.connector.body.{rest}", "qformer.{rest}")]

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return Blip2Config(**self._config_values(ours))

    def before_load(self, theirs: Any) -> None:
        """Give T5 1.1 and Flan-T5 the head of their own that they are published with."""
        language = theirs.language_model
        if getattr(language.config, "scale_decoder_outputs", True):
            return
        # Why: a T5 config of transformers 5 always ties, and leaves it to the checkpoint to undo that.
        language.lm_head.weight = nn.Parameter(language.lm_head.weight.detach().clone())
        language.config.tie_word_embeddings = False
        head = "language_model.lm_head.weight"
        theirs.all_tied_weights_keys = {k: v for k, v in theirs.all_tied_weights_keys.items() if k != head}

    def _config_values(self, ours: GeoproseConfig) -> dict[str, Any]:
        assert ours.connector is not None
        connector = ours.connector
        qformer = {theirs: connector[name] for name, theirs in _QFORMER_NAMES.items()}
        dropout = connector["dropout"]
        vision = part_config(ours.vision_config)
        return {
            "vision_config": {key: value for key, value in vision.items() if key != "model_type"},
            "qformer_config": {**qformer, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout},
            "text_config": part_config(ours.text_config),
            "num_query_tokens": connector["num_queries"],
            "image_token_index": ours.image_token_id,
        }

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text, vision = part_config(theirs.text_config), part_config(theirs.vision_config)
        if "scale_decoder_outputs" in text:
            text["tie_word_embeddings"] = text["scale_decoder_outputs"]
        qformer = part_config(theirs.qformer_config)
        return {
            "resolution": {"image_size": vision.pop("image_size")},
            "vision_encoder": {"config": {key: value for key, value in vision.items() if key != "model_type"}},
            "connector": {
                **{name: qformer[their] for name, their in _QFORMER_NAMES.items()},
                "num_queries": theirs.num_query_tokens,
                "dropout": qformer["hidden_dropout_prob"],
            },
            "language_model": {"type": text.pop("model_type"), "config": text},
        }


class InstructBlipReference(Blip2Reference):
    """The same with the words of the instruction inside the Q-Former."""

    architecture = "InstructBlipForConditionalGeneration"

    def _qformer_rules(self) -> list[Rule]:
        return [
            Rename("model.connector.body.layernorm.{rest}", "qformer.embeddings.layernorm.{rest}"),
            Rename("model.connector.words.{rest}", "qformer.embeddings.{rest}"),
            Rename("model.connector.body.encoder.{rest}", "qformer.encoder.{rest}"),
        ]

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return InstructBlipConfig(**self._config_values(ours))

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the inputs of one forward pass under the names of the transformers class."""
        names = {"condition_ids": "qformer_input_ids", "condition_mask": "qformer_attention_mask"}
        return {names.get(name, name): value for name, value in super().inputs(inputs).items()}
