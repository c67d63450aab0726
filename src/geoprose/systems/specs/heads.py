"""Specs of the heads that write pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import NonNegativeFloat, PositiveInt

from geoprose.models.registries import IMAGE_HEADS
from geoprose.systems.specs.base import HfValues, PartSpec, slot_type


class ImageHeadSpec(PartSpec):
    """How a prompt becomes a picture: its text, its grid of codes, and its guidance."""

    text: str = "{prompt}"
    """What the model reads before the first code; ``{prompt}``, ``{rows}`` and ``{columns}`` are filled in."""
    start: tuple[str, ...] = ()
    """Tokens of ``text`` that the tokenizer must have."""
    end: tuple[str, ...] = ()
    """Tokens behind the last code."""
    rows: PositiveInt
    """Codes along the height, unless the caller asks for another grid."""
    columns: PositiveInt
    guidance: NonNegativeFloat = 1.0
    """Scale of classifier-free guidance; 1 for none."""
    unconditional: Literal["negative", "padded"] = "negative"
    """What the guidance leads away from: a negative prompt, or the prompt with all but ``start`` tokens padded over."""

    def tokens(self) -> list[str]:
        """Return the tokens that the tokenizer must have."""
        return [*self.start, *self.end]

    def as_config(self) -> dict[str, Any]:
        """Return what the transformers config holds: the options of the module."""
        return {"type": self.type}


class TokenCodesHeadSpec(ImageHeadSpec):
    """The language model's own head, restricted to the tokens of codes (Chameleon, Emu3)."""


class CodeMlpHeadSpec(ImageHeadSpec):
    """A head, an embedding and a tokenizer of its own (Janus)."""

    config: HfValues
    """Keywords of the tokenizer's transformers config, with ``model_type``."""
    depth: PositiveInt = 2
    """Linear layers between a code's vector and the language model."""
    activation: str = "gelu"

    def as_config(self) -> dict[str, Any]:
        """Return what the transformers config holds: the options of the module."""
        return {"type": self.type, **self.model_dump(mode="json", include={"config", "depth", "activation"})}


SPECS: dict[str, type[PartSpec]] = {"code_mlp": CodeMlpHeadSpec, "token_codes": TokenCodesHeadSpec}

if TYPE_CHECKING:
    ImageHeadSlot = ImageHeadSpec
else:
    ImageHeadSlot = slot_type(IMAGE_HEADS, SPECS)
