"""Kinds of system: what a preset with ``kind: NAME`` is built into, and how it is loaded and proven.

The only place that tells kinds apart; build, load, presets and verify ask here. Start at base.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.systems.kinds.base import SystemKind

COMPOSITE = "composite"
"""The kind of a preset that names none: a language model that answers."""

KINDS: Registry[type[SystemKind]] = Registry(
    slot="system_kind",
    table={
        COMPOSITE: "geoprose.systems.kinds.composite:CompositeKind",
        "dense": "geoprose.systems.kinds.dense:DenseKind",
        "dual_encoder": "geoprose.systems.kinds.dual_encoder:DualEncoderKind",
        "encoder_decoder": "geoprose.systems.kinds.encoder_decoder:EncoderDecoderKind",
        "factorised_encoder": "geoprose.systems.kinds.factorised:FactorisedKind",
    },
)


def kind_of(name: str) -> SystemKind:
    """Return the kind of that name.

    Raises:
        ConfigError: If there is none; close names are listed.
    """
    return KINDS.get(name)()


def kind_of_model_type(model_type: str) -> SystemKind | None:
    """Return the kind whose saved configs have this transformers model type, or None."""
    kinds = (kind_of(name) for name in KINDS.names())
    return next((kind for kind in kinds if kind.model_type == model_type), None)
