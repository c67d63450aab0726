"""CogVLM's fusion: visual tokens have attention and feed-forward weights of their own in every layer."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geoprose.core.errors import ConfigError
from geoprose.models.parts.fusions.layers import decoder_layers
from geoprose.models.parts.fusions.routing import ROUTING, listen, route
from geoprose.models.parts.fusions.scatter import ScatterFusion

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from transformers.modeling_outputs import BaseModelOutputWithPast

    from geoprose.models.inputs import TextInputs, Visuals

_INPUTS = ("q_proj", "k_proj", "v_proj")


class LayerExpert(nn.Module):
    """The visual weights of one layer, by the names that the language model has for its own."""

    def __init__(self, attention: dict[str, nn.Module], feed_forward: nn.Module) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(attention)
        self.feed_forward = feed_forward


def expert_tokens(is_visual_BT: Tensor) -> Tensor:
    """Return True where a token and the next one are visual: the last of a picture stays with the language weights.

    Source:
        ``get_expert_mask`` of the published CogVLM2 code.
    """
    return is_visual_BT & nn.functional.pad(is_visual_BT, (0, 1))[:, 1:]


class VisualExpertFusion(ScatterFusion):
    """Visual tokens stand among the words; every linear layer of a decoder layer exists twice, attention is joint.

    Args:
        text_config: The language model's config.
        qkv_bias: The expert's queries, keys and values have a bias (CogVLM2), whatever the language model has.

    Source:
        arXiv:2311.03079 section 2.1 and figure 4; arXiv:2408.16500.
    """

    def __init__(self, text_config: PreTrainedConfig, qkv_bias: bool = False) -> None:
        super().__init__(text_config)
        self.num_layers = int(text_config.num_hidden_layers)
        self.qkv_bias = qkv_bias
        self.layers = nn.ModuleList()

    def attach(self, language_model: nn.Module) -> None:
        """Give every layer its expert, a copy of the language weights.

        Raises:
            ConfigError: If the layers have no ``self_attn`` with linear layers and no ``mlp``.
        """
        for layer in decoder_layers(language_model, self.num_layers):
            linears = {name: m for name, m in _attention(layer).named_children() if isinstance(m, nn.Linear)}
            experts: dict[str, nn.Module] = {
                name: _copied(linear, self.qkv_bias and name in _INPUTS) for name, linear in linears.items()
            }
            expert = LayerExpert(experts, copy.deepcopy(_feed_forward(layer)))
            for name, linear in linears.items():
                route(linear, experts[name])
            route(_feed_forward(layer), expert.feed_forward)
            listen(_attention(layer))
            self.layers.append(expert)

    @torch.no_grad()
    def initialise(self, language_model: nn.Module) -> None:
        """Start the experts from the language weights, biases of their own at zero."""
        for layer, expert in zip(decoder_layers(language_model, self.num_layers), self.layers, strict=True):
            assert isinstance(expert, LayerExpert)
            expert.feed_forward.load_state_dict(_feed_forward(layer).state_dict())
            for name, linear in expert.attention.items():
                linear.load_state_dict(_attention(layer).get_submodule(name).state_dict(), strict=False)

    def forward(
        self, language_model: nn.Module, text: TextInputs, visuals: Visuals | None, **lm_inputs: Any
    ) -> BaseModelOutputWithPast:
        """Merge, then run the language model with the routing of this pass.

        Raises:
            ProcessingError: If the number of placeholders differs from the number of visual tokens.
        """
        if visuals is not None:
            lm_inputs[ROUTING] = expert_tokens(text.is_visual_BT)
        return super().forward(language_model, text, visuals, **lm_inputs)


def _copied(linear: nn.Linear, with_bias: bool) -> nn.Linear:
    copied = copy.deepcopy(linear)
    if with_bias and copied.bias is None:
        copied.bias = nn.Parameter(copied.weight.new_zeros(copied.out_features))
    return copied


def _part(layer: nn.Module, name: str) -> nn.Module:
    part = getattr(layer, name, None)
    if not isinstance(part, nn.Module):
        raise ConfigError(
            f"{type(layer).__name__} has no {name}, so experts cannot be put beside it; use a language model of the "
            "Llama family (llama, qwen2, mistral), or the scatter fusion."
        )
    return part


def _attention(layer: nn.Module) -> nn.Module:
    return _part(layer, "self_attn")


def _feed_forward(layer: nn.Module) -> nn.Module:
    return _part(layer, "mlp")
