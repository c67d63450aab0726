"""Spec of a signal: how a system asks a generator for a picture, a video or a sound."""

from __future__ import annotations

from typing import Any

from pydantic import PositiveInt

from geoprose.core.spec import Spec


class SignalSpec(Spec):
    """Tokens that the language model writes, and the condition that their hidden states become.

    The defaults are those of NExT-GPT's published code.
    """

    prefix: str
    """Signal token i is ``[<prefix><i>]``."""
    count: PositiveInt
    """Number of signal tokens."""
    output_tokens: PositiveInt
    """Vectors of the condition (77 for a CLIP text encoder)."""
    output_size: PositiveInt
    """Their width."""
    hidden_size: PositiveInt = 512
    """Width of the head."""
    num_layers: PositiveInt = 4
    """Layers of its encoder, and of its decoder."""
    num_heads: PositiveInt = 4

    def tokens(self) -> list[str]:
        """Return the signal tokens in order."""
        return [f"[{self.prefix}{index}]" for index in range(self.count)]

    def as_config(self) -> dict[str, Any]:
        """Return what the transformers config holds."""
        return {"tokens": self.tokens(), **self.model_dump(mode="json", exclude={"prefix", "count"})}
