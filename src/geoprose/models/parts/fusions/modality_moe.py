"""Mixture of modality experts: several feed-forwards per layer, chosen by the kind of token or by a learned gate.

Shapes: B batch, T text length, D language-model width, X experts (the language model's own feed-forward first).
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geoprose.core.errors import ConfigError
from geoprose.models.parts.fusions.layers import decoder_layers, every_nth
from geoprose.models.parts.fusions.routing import ROUTING, listen, route
from geoprose.models.parts.fusions.scatter import ScatterFusion
from geoprose.models.parts.fusions.visual_expert import _attention, _feed_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transformers import PreTrainedConfig
    from transformers.modeling_outputs import BaseModelOutputWithPast

    from geoprose.models.inputs import TextInputs, Visuals


@dataclass(frozen=True)
class GateRecord:
    """What the gate of one layer did in one pass.

    Attributes:
        probabilities_BTX: Softmax of the gate, with gradient.
        is_chosen_BTX: The experts that computed a token.
    """

    probabilities_BTX: Tensor
    is_chosen_BTX: Tensor


_RECORDS: ContextVar[list[GateRecord] | None] = ContextVar("gate_records", default=None)


@contextmanager
def record_gates() -> Iterator[list[GateRecord]]:
    """Collect what the gates do inside the block, one record per layer with a gate and pass."""
    records: list[GateRecord] = []
    token = _RECORDS.set(records)
    try:
        yield records
    finally:
        _RECORDS.reset(token)


def load_balance(record: GateRecord, keep_BT: Tensor | None = None) -> Tensor:
    """Return ``X * sum_x f_x P_x``: 1 where every expert gets its share, up to X where one gets all.

    Args:
        record: One layer and pass.
        keep_BT: True for the tokens that count, such as those that are no padding.

    Source:
        arXiv:2101.03961 equation 4; f is the share of choices, so that it also covers more than one expert per token.
    """
    probabilities, chosen = record.probabilities_BTX.flatten(0, -2), record.is_chosen_BTX.flatten(0, -2)
    if keep_BT is not None:
        probabilities, chosen = probabilities[keep_BT.flatten()], chosen[keep_BT.flatten()]
    share_X = chosen.to(probabilities.dtype).mean(0) / chosen.sum(-1).to(probabilities.dtype).mean().clamp(min=1)
    return probabilities.shape[-1] * (share_X * probabilities.mean(0)).sum()


class ModalityMoeFusion(ScatterFusion):
    """Visual tokens stand among the words; chosen layers have further feed-forwards, copies of the first.

    Args:
        text_config: The language model's config.
        routing: ``"hard"``: visual tokens go to the one expert, words to the language model's own feed-forward.
            ``"soft"``: a learned gate chooses ``top_k`` of all of them for every token, weights renormalised to 1.
        num_experts: Further feed-forwards per layer; 1 for hard routing.
        top_k: Feed-forwards per token, for soft routing.
        every: Every n-th layer has experts.
        offset: The first layer with experts.

    Source:
        Hard routing: modality experts as in VLMo, arXiv:2111.02358 section 3.1. Soft: arXiv:1701.06538 with the
        renormalised top-k of arXiv:2401.04088.
    """

    def __init__(
        self,
        text_config: PreTrainedConfig,
        routing: str = "hard",
        num_experts: int = 1,
        top_k: int = 1,
        every: int = 1,
        offset: int = 0,
    ) -> None:
        super().__init__(text_config)
        if routing not in ("hard", "soft"):
            raise ConfigError(f"fusion.routing {routing!r} is unknown. Known: hard, soft.")
        if num_experts < 1 or (routing == "hard" and num_experts != 1) or not 1 <= top_k <= num_experts + 1:
            raise ConfigError(
                f"{routing} routing over {num_experts} experts with top_k {top_k} is impossible: hard routing has one "
                "expert, soft routing chooses at most num_experts + 1."
            )
        self.routing, self.top_k = routing, top_k
        self.num_layers = int(text_config.num_hidden_layers)
        self.layer_indices = every_nth(self.num_layers, every, offset)
        self.experts = nn.ModuleList(nn.ModuleList() for _ in self.layer_indices)
        self.num_experts = num_experts
        width = int(text_config.hidden_size)
        gates = (nn.Linear(width, num_experts + 1, bias=False) for _ in self.layer_indices)
        self.gates = nn.ModuleList(gates if routing == "soft" else ())

    def attach(self, language_model: nn.Module) -> None:
        """Put the experts beside the feed-forward of their layers.

        Raises:
            ConfigError: If the layers have no ``self_attn`` and ``mlp``.
        """
        layers = decoder_layers(language_model, self.num_layers)
        for layer in layers if self.routing == "hard" else ():
            listen(_attention(layer))
        for number, index in enumerate(self.layer_indices):
            feed_forward, experts = _feed_forward(layers[index]), self._experts(number)
            experts.extend(copy.deepcopy(feed_forward) for _ in range(self.num_experts))
            if self.routing == "hard":
                route(feed_forward, experts[0])
            else:
                own = partial(self._mixed, number, feed_forward.forward)
                feed_forward.forward = own

    def _experts(self, number: int) -> nn.ModuleList:
        experts = self.experts[number]
        assert isinstance(experts, nn.ModuleList)
        return experts

    @torch.no_grad()
    def initialise(self, language_model: nn.Module) -> None:
        """Start the experts from the language weights."""
        layers = decoder_layers(language_model, self.num_layers)
        for number, index in enumerate(self.layer_indices):
            for expert in self._experts(number):
                expert.load_state_dict(_feed_forward(layers[index]).state_dict())

    def _mixed(self, number: int, language: Callable[[Tensor], Tensor], hidden_BTD: Tensor) -> Tensor:
        probabilities_BTX = self.gates[number](hidden_BTD).float().softmax(-1)
        weights_BTK, chosen_BTK = probabilities_BTX.topk(self.top_k, dim=-1)
        weights_BTK = weights_BTK.to(hidden_BTD.dtype)
        weights_BTK = weights_BTK / weights_BTK.sum(-1, keepdim=True)
        records = _RECORDS.get()
        if records is not None:
            is_chosen = torch.zeros_like(probabilities_BTX, dtype=torch.bool).scatter(-1, chosen_BTK, True)
            records.append(GateRecord(probabilities_BTX, is_chosen))
        mixed_BTD = torch.zeros_like(hidden_BTD)
        for expert, compute in enumerate((language, *self._experts(number))):
            weight_BT = (weights_BTK * (chosen_BTK == expert)).sum(-1)
            takes_BT = (chosen_BTK == expert).any(-1)
            part_BTD = torch.zeros_like(hidden_BTD)
            part_BTD[takes_BT] = compute(hidden_BTD[takes_BT]) * weight_BT[takes_BT][:, None]
            mixed_BTD = mixed_BTD + part_BTD
        return mixed_BTD

    def forward(
        self, language_model: nn.Module, text: TextInputs, visuals: Visuals | None, **lm_inputs: Any
    ) -> BaseModelOutputWithPast:
        """Merge, then run the language model.

        Raises:
            ProcessingError: If the number of placeholders differs from the number of visual tokens.
        """
        if visuals is not None and self.routing == "hard":
            lm_inputs[ROUTING] = text.is_visual_BT
        return super().forward(language_model, text, visuals, **lm_inputs)
