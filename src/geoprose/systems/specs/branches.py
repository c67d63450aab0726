"""Spec of a branch: one further modality beside the pictures."""

from __future__ import annotations

from typing import Any

from geoprose.core.spec import Spec
from geoprose.systems.specs.connectors import ConnectorSlot
from geoprose.systems.specs.encoders import VisionEncoderSlot


class BranchSpec(Spec):
    """How one modality reaches the language model."""

    encoder: VisionEncoderSlot | None = None
    """Its encoder; null where the pictures' encoder reads it too (video behind an image tower)."""
    connector: ConnectorSlot | None = None
    """Its connector; null where it goes through the pictures' connector (one connector behind a joint space)."""
    token: str = ""
    """Its mark in the text, which is also its placeholder; ``<name of the modality>`` by default."""

    def as_config(self) -> dict[str, Any]:
        """Return the parts as the transformers config holds them."""
        return {
            "encoder": None if self.encoder is None else self.encoder.as_config(),
            "connector": None if self.connector is None else self.connector.as_config(),
        }

    def describe(self) -> str:
        """Return its parts in a few words."""
        encoder = "the pictures' encoder" if self.encoder is None else self.encoder.type
        return f"{encoder}, {'shared connector' if self.connector is None else self.connector.type}"
