"""Balance of experts: routers that send everything to one expert leave the others untrained."""

# L layers, K tokens that count, X experts, B rows, T tokens

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geoprose.core.errors import ConfigError
from geoprose.models.parts.fusions.modality_moe import GateRecord, ModalityMoeFusion, load_balance
from geoprose.training.losses.base import Batch, Forward, LossContext, StageLoss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Router:
    """A module that chooses experts.

    Attributes:
        module: Its output, or item ``index`` of it, are logits (..., X).
        index: None where the output itself are the logits.
        top_k: Experts a token.
    """

    module: nn.Module
    index: int | None
    top_k: int


def moe_balance(logits_LKX: Sequence[Tensor], top_k: int, keep_K: Tensor | None = None) -> Tensor:
    """Return ``X sum_x f_x P_x`` over the tokens of all layers: ``top_k`` where every expert gets its share.

    ``f_x`` is the number of choices of expert x per token (they sum to ``top_k``), ``P_x`` its mean probability; only
    ``P`` has a gradient.

    Args:
        logits_LKX: Logits (K, X) of each layer, before the softmax.
        top_k: Experts a token.
        keep_K: True for tokens that count; all by default.

    Source:
        Switch Transformers, arXiv:2101.03961, equations 4 to 6, as transformers generalises it to several experts a
        token (``load_balancing_loss_func`` of Mixtral, arXiv:2401.04088).
    """
    kept = [logits if keep_K is None else logits[keep_K] for logits in logits_LKX]
    probabilities = torch.cat([logits.to(torch.promote_types(logits.dtype, torch.float32)) for logits in kept])
    probabilities = probabilities.softmax(-1)
    chosen = torch.zeros_like(probabilities, dtype=torch.bool)
    chosen = chosen.scatter(-1, probabilities.topk(top_k, dim=-1).indices, True)
    return top_k * load_balance(GateRecord(probabilities, chosen))


def find_routers(model: Any) -> list[Router]:
    """Return the routers of a composite in the order of its layers: those of its fusion, else of its language model."""
    fusion = model.model.fusion
    if isinstance(fusion, ModalityMoeFusion):
        return [Router(gate, None, fusion.top_k) for gate in fusion.gates]
    language_model = model.model.language_model
    recorder = (getattr(language_model, "_can_record_outputs", None) or {}).get("router_logits")
    kind, index = getattr(recorder, "target_class", recorder), getattr(recorder, "index", 0)
    if kind is None:
        return []
    top_k = int(language_model.config.num_experts_per_tok)
    return [Router(module, index, top_k) for module in language_model.modules() if isinstance(module, kind)]


def counted_tokens(attention_mask: Tensor) -> Tensor:
    """Return which tokens are no padding (B, T), from a mask (B, T) or the block mask (B, 1, T, T) of packed rows.

    Padding of packed rows sees only itself, and nobody sees it.
    """
    if attention_mask.dim() == 2:
        return attention_mask.bool()
    seen_BTT = attention_mask[:, 0]
    return (seen_BTT.sum(1) > 1) | (seen_BTT.sum(2) > 1)


class _Logits(dict[int, Tensor]):
    """What the routers said in the last pass, by their number; hooks hold it weakly."""


class MoeBalanceLoss(StageLoss):
    """The balance of a micro-batch, weighted by its tokens.

    Why per micro-batch: ``f`` and ``P`` are means, their product is no sum over tokens; the published training codes
    average it over micro-batches as well.

    Raises:
        ConfigError: If nothing in the system chooses experts.
    """

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self.routers = find_routers(context.system.model)
        if not self.routers:
            raise ConfigError(
                f"Loss moe_balance needs experts; {context.system.spec.name} has none that are chosen. Use fusion "
                "modality_moe with routing: soft, or a language model with experts."
            )
        self._logits = _Logits()
        for number, router in enumerate(self.routers):
            router.module.register_forward_hook(_listener(weakref.ref(self._logits), number, router.index))

    def num_items(self, batch: Batch) -> float:
        """Return the tokens that are no padding."""
        return float(counted_tokens(batch["attention_mask"]).sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the balance times the number of tokens."""
        _ = forward.hidden  # Contract: the pass runs once, now or for an earlier loss; the hooks heard it.
        logits = [self._logits[number].flatten(0, -2) for number in range(len(self.routers))]
        keep = counted_tokens(forward.batch["attention_mask"]).flatten()
        loss = moe_balance(logits, self.routers[0].top_k, keep) * keep.sum()
        self._logits.clear()
        return loss


def _listener(logits: weakref.ref[_Logits], number: int, index: int | None) -> Callable[..., None]:
    # Why a weak reference: the hook outlives the stage, what it heard must not.
    def listen(_module: nn.Module, _inputs: Any, output: Any) -> None:
        found = logits()
        if found is not None:
            found[number] = output if index is None else output[index]

    return listen
