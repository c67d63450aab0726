"""Composites over an encoder-decoder language model (T5): pictures and question are encoded, the decoder answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.systems.kinds.composite import CompositeKind

if TYPE_CHECKING:
    from geoprose.systems.spec import BaseSystemSpec


class EncoderDecoderKind(CompositeKind):
    """A composite with another model class; everything else is the same."""

    model_type = "geoprose_seq2seq"

    def spec_type(self) -> type[BaseSystemSpec]:
        """Return the class of its specs."""
        from geoprose.systems.spec import EncoderDecoderSpec

        return EncoderDecoderSpec

    def config_class(self) -> Any:
        """Return the class of its transformers configs."""
        from geoprose.models.seq2seq_config import GeoproseSeq2SeqConfig

        return GeoproseSeq2SeqConfig

    def model_class(self) -> Any:
        """Return the class of its models."""
        from geoprose.models.seq2seq import GeoproseForSeq2Seq

        return GeoproseForSeq2Seq
