"""Sizes that configs of image tokenizers name differently; no torch."""

from __future__ import annotations

from typing import Any

_CODES = ("num_embeddings", "codebook_size")


def num_codes(config: Any) -> int:
    """Return the size of the codebook that a tokenizer's config, or its values, name."""
    values = config if isinstance(config, dict) else config.to_dict()
    return int(next(values[name] for name in _CODES if name in values))


def pixels_per_code(config: Any) -> int:
    """Return the side of the square of pixels that one code stands for: it halves between levels."""
    values = config if isinstance(config, dict) else config.to_dict()
    return int(2 ** (len(values["channel_multiplier"]) - 1))
