"""Language models by transformers model type: the decoder without its head."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModel

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

# AutoModel lacks these, or maps their config to another class.
_CLASSES: dict[str, str] = {
    "chameleon": "geoprose.models.parts.decoders.chameleon:ChameleonTextModel",
    "emu3_text_model": "transformers:Emu3TextModel",
    "mllama_text_model": "transformers:MllamaTextModel",
    # OPTModel only wraps its decoder, which would hide the word embeddings one level deeper than elsewhere.
    "opt": "transformers.models.opt.modeling_opt:OPTDecoder",
}


def build_language_model(config: PreTrainedConfig) -> PreTrainedModel:
    """Build the decoder of a text config, weights drawn at random.

    Raises:
        ValueError: If transformers knows no model of that type.
    """
    target = _CLASSES.get(config.model_type)
    if target is None:
        model: PreTrainedModel = AutoModel.from_config(config)
        if model._can_set_experts_implementation():
            model.register_forward_pre_hook(_run_experts_one_by_one_in_double)
        return model
    module_name, _, name = target.partition(":")
    model_class: Any = getattr(import_module(module_name), name)
    built: PreTrainedModel = model_class._from_config(config)
    return built


def _run_experts_one_by_one_in_double(model: PreTrainedModel, _inputs: Any) -> None:
    # Why: the grouped kernel that transformers prefers does not exist in float64, which proofs are computed in.
    if model.dtype == torch.float64:
        model.config._experts_implementation = "eager"
