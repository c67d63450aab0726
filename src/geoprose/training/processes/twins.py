"""What both ways to cut a model over the processes need to know about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from geoprose.training.module import StageModule


def refuse_sampling(module: StageModule, sharding: str) -> None:
    """Refuse to cut what is read whole.

    Raises:
        ConfigError: If a loss runs the model outside the training pass, which needs whole parameters.
    """
    samples = [str(loss.spec.label) for loss in module.losses if loss.fills]
    if samples:
        raise ConfigError(
            f"sharding: {sharding} cannot be used with {', '.join(samples)}: it reads the model before the training "
            "pass, which needs whole parameters. Use sharding: none."
        )


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the layers that transformers names as wholes, inner ones first."""
    names = {name for module in model.modules() for name in getattr(module, "_no_split_modules", None) or ()}
    found: list[Any] = [module for module in model.modules() if type(module).__name__ in names]
    return [module for module in reversed(found) if next(module.parameters(), None) is not None]
