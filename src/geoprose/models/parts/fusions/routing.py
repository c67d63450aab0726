"""Send tokens of one kind through other weights than the language model's, inside its own modules.

Shapes: B batch, T text length, D width of a module's input.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

ROUTING = "expert_routing"
"""Keyword under which the routing travels through the language model to its attention modules."""
# Contract: the attention runs first in every layer, so what it sets is what the feed-forward of that layer reads.
# A layer that gradient checkpointing replays long after the forward pass gets its keyword again; hence a keyword.
_CURRENT: ContextVar[Tensor | None] = ContextVar("expert_routing", default=None)


def current_routing() -> Tensor | None:
    """Return (B, T), True where a token goes to the expert, in the layer that is running; None for text alone."""
    return _CURRENT.get()


def listen(attention: nn.Module) -> None:
    """Let the attention module of a layer take the routing out of its keywords."""
    attention.register_forward_pre_hook(_take_routing, with_kwargs=True)


def _take_routing(_module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _CURRENT.set(kwargs.get(ROUTING))
    return args, {name: value for name, value in kwargs.items() if name != ROUTING}


def route(module: nn.Module, expert: nn.Module) -> None:
    """Let ``expert`` compute the tokens that the routing names, ``module`` the others; each runs on its own only.

    The module keeps its name and its parameters, so its checkpoints and adapters fit as before.
    """
    # Why not a wrapper module: it would rename the parameters of the language model.
    module.forward = partial(_forward, module.forward, expert)


def _forward(language: Callable[[Tensor], Tensor], expert: nn.Module, hidden_BTD: Tensor) -> Tensor:
    is_expert_BT = current_routing()
    if is_expert_BT is None:
        return language(hidden_BTD)
    from_language = language(hidden_BTD[~is_expert_BT])
    output = from_language.new_empty(*hidden_BTD.shape[:-1], from_language.shape[-1])
    output[~is_expert_BT] = from_language
    output[is_expert_BT] = expert(hidden_BTD[is_expert_BT]).to(output.dtype)
    return output
