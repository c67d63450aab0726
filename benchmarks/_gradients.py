"""Gradients of two models with the same weights under other names, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def gradients_of(model: Any, key_map: Any = None) -> dict[str, Tensor]:
    """Return copies of a model's gradients by name, under our names where the map between the names is given."""
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return found if key_map is None else dict(key_map.to_ours(found)[0])


def whole_set(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return both as they are; stop where not the same parameters got a gradient."""
    if not ours or set(ours) != set(theirs):
        raise SystemExit(f"other parameters got a gradient: {sorted(set(ours) ^ set(theirs))[:4]}")
    return ours, theirs


def difference(ones: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> float:
    """Return the largest difference of a value, relative to the largest value of all gradients."""
    largest = max(float(gradient.abs().max()) for gradient in others.values())
    return max(float((ones[name] - others[name]).abs().max()) for name in others) / largest
