"""A shallower decoder from a pretrained one: some of its layers, everything else as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from geoprose.core.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence


def keep_layers(pretrained: Any, layers: Sequence[int]) -> None:
    """Leave only some of the decoder's layers in a transformers model, in place; its config says how many are left.

    Args:
        pretrained: Causal language model of transformers.
        layers: Layers to keep, counted from 0, in the order in which they shall run.

    Raises:
        ConfigError: If there is no such layer.
        ModelError: If the list of layers cannot be told.

    Source:
        Sanh et al., DistilBERT, arXiv:1910.01108, section 3: a student starts from one layer out of two of its teacher.
    """
    depth = int(pretrained.config.num_hidden_layers)
    beyond = [layer for layer in layers if layer >= depth]
    if beyond:
        raise ConfigError(f"language_model.keep_layers names layer {beyond[0]}; there are {depth}, counted from 0.")
    found = [
        (owner, name)
        for owner in pretrained.modules()
        for name, part in owner.named_children()
        if isinstance(part, nn.ModuleList) and len(part) == depth
    ]
    if len(found) != 1:
        raise ModelError(
            f"{type(pretrained).__name__} has {len(found)} lists of {depth} layers, so it cannot be told which ones to "
            "keep. Use a language model whose layers are one list."
        )
    owner, name = found[0]
    setattr(owner, name, nn.ModuleList(getattr(owner, name)[layer] for layer in layers))
    pretrained.config.num_hidden_layers = len(layers)
