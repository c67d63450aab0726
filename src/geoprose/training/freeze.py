"""Freezing is a function outside the model: globs say what trains, everything else is frozen."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

_BACKBONE_PREFIX = "model."


@dataclass(frozen=True)
class FreezeReport:
    """What a stage trains.

    Attributes:
        num_trainable: Numbers that change.
        num_total: Numbers of the whole model.
        modules: Trainable numbers per top-level part.
        names: Every trainable parameter.
    """

    num_trainable: int
    num_total: int
    modules: dict[str, int]
    names: tuple[str, ...]

    def summary(self) -> str:
        """Return one line for the log."""
        share = 100.0 * self.num_trainable / max(1, self.num_total)
        parts = ", ".join(f"{name} {count:,}" for name, count in self.modules.items())
        return f"{self.num_trainable:,} of {self.num_total:,} parameters ({share:.2f} %): {parts}"


def short_name(parameter_name: str) -> str:
    """Return the name below the backbone: ``model.connector.x`` is ``connector.x``."""
    return parameter_name.removeprefix(_BACKBONE_PREFIX)


def apply_freeze_plan(model: nn.Module, trainable: Sequence[str]) -> FreezeReport:
    """Let train exactly the parameters that a glob or an adapter names.

    Adapters (``lora_A``, ``lora_B``) always train: they exist only because the stage asked for them.

    Args:
        model: Composite, possibly with adapters.
        trainable: Globs over names below the backbone; ``!glob`` takes away.

    Raises:
        ConfigError: If a glob matches no parameter, or nothing trains.
    """
    parameters = dict(model.named_parameters())
    names = {name: short_name(name) for name in parameters}
    for glob in trainable:
        if not any(fnmatch.fnmatchcase(short, glob.removeprefix("!")) for short in names.values()):
            parts = {f"{short.split('.')[0]}.*" for short in names.values()}
            raise ConfigError(f"{unknown_name_message('trainable glob', glob, parts)} It matches no parameter.")
    for name, parameter in parameters.items():
        short = names[name]
        parameter.requires_grad_(".lora_" in short or is_named(short, trainable))
    return _report(model)


def is_named(short: str, globs: Sequence[str]) -> bool:
    """Tell whether a glob names the parameter and no glob with a leading ``!`` takes it away."""
    taken = any(fnmatch.fnmatchcase(short, glob[1:]) for glob in globs if glob.startswith("!"))
    return not taken and any(fnmatch.fnmatchcase(short, glob) for glob in globs if not glob.startswith("!"))


def _report(model: nn.Module) -> FreezeReport:
    modules: dict[str, int] = {}
    names: list[str] = []
    total = 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if parameter.requires_grad:
            part = short_name(name).split(".")[0]
            modules[part] = modules.get(part, 0) + parameter.numel()
            names.append(name)
    if not names:
        raise ConfigError("The stage trains no parameter. Give trainable globs or a lora.")
    return FreezeReport(sum(modules.values()), total, modules, tuple(names))
