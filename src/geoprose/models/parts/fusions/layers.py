"""Find the decoder layers of any language model of transformers."""

from __future__ import annotations

from torch import nn

from geoprose.core.errors import ConfigError


def decoder_layers(language_model: nn.Module, num_layers: int) -> nn.ModuleList:
    """Return the list of decoder layers: the outermost module list of that length.

    Raises:
        ConfigError: If the language model has none.
    """
    for _, module in language_model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == num_layers:
            return module
    raise ConfigError(
        f"{type(language_model).__name__} holds no list of {num_layers} decoder layers, so no fusion can work between "
        "them; use the scatter fusion."
    )


def every_nth(num_layers: int, every: int, offset: int) -> list[int]:
    """Return the layers ``offset``, ``offset + every``, ... below ``num_layers``.

    Raises:
        ConfigError: If there is none.
    """
    if every < 1 or not 0 <= offset < num_layers:
        raise ConfigError(
            f"every {every} and offset {offset} choose no layer of {num_layers}; give every >= 1 and an offset from 0 "
            f"to {num_layers - 1}."
        )
    return list(range(offset, num_layers, every))
