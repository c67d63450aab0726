"""Modalities that a system can read beside pictures."""

from __future__ import annotations

MODALITIES = ("audio", "depth", "imu", "thermal", "video")
"""Each names a branch of a system and, as ``<name>_values``, an input of the model."""


def input_name(modality: str) -> str:
    """Return the name of the model input that holds values of this modality."""
    return f"{modality}_values"
