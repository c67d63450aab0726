"""What a stage sets before its first step."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from geoprose.core.spec import Spec


class InputStatisticsSpec(Spec):
    """Give the connector the mean and deviation of the TRAIN features (connector with ``input_norm: standardise``)."""

    type: Literal["input_statistics"] = "input_statistics"


class DirectionWordsSpec(Spec):
    """Start the connector's position vectors from the words for the place of each cell of the grid."""

    type: Literal["direction_words"] = "direction_words"
    vertical: tuple[str, ...] = ("north", "south")
    """Words along the rows of the grid, first row to last; interpolated, centred."""
    horizontal: tuple[str, ...] = ("west", "east")
    """Words along the columns, first column to last."""
    tokens: tuple[tuple[str, ...], ...] = ()
    """Instead of the grid: the words of each position vector, whose mean embedding it starts from."""
    scale: PositiveFloat = 1.0
    """Multiplies the embeddings."""
    token_scales: dict[int, NonNegativeFloat] = Field(default_factory=dict)
    """Index of a token to another scale, with ``tokens``; 0 starts it without a position vector."""


class WordSpanSpec(Spec):
    """Start linear layers of the connector inside the span of words, so that nothing orthogonal must be unlearnt.

    For the embeddings ``E`` (C, D) and the deviation ``s`` of all embeddings: weight ``gain E^T R / (s sqrt(n))`` with
    ``R`` normal (C, n inputs), bias ``bias_share mean(E) / s``.
    """

    type: Literal["word_span"] = "word_span"
    words: tuple[str, ...]
    layers: dict[str, PositiveFloat]
    """Name of the layer below ``connector`` to its gain; all take the same ``R``."""
    bias_share: NonNegativeFloat = 0.3


PrepareSpec = Annotated[InputStatisticsSpec | DirectionWordsSpec | WordSpanSpec, Field(discriminator="type")]
