"""Losses on the words of an answer, and on visual tokens as words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from geoprose.training.specs.loss_base import BaseLossSpec


class LmLossSpec(BaseLossSpec):
    """Cross-entropy of the answer tokens; the logits exist only at answer positions."""

    type: Literal["lm"] = "lm"
    chunk_tokens: PositiveInt | None = None
    """Answer tokens whose logits exist at one time; they are computed again in the backward pass, so that the memory of
    the vocabulary does not grow with the batch. None: all at once, a little faster. Same loss, same gradients."""
    label_smoothing: NonNegativeFloat = Field(default=0.0, lt=1.0)
    """Share of the probability that is spread evenly over the vocabulary (BLIP-2 trains with 0.1)."""
    reduction: Literal["token", "square", "sample"] = "token"
    """How much a sample of n answer tokens counts: n (every token alike), the square root of n (InternVL 2.5), or 1."""


class LexicalAlignmentSpec(BaseLossSpec):
    """Draw visual tokens to the word embeddings of what lies below them."""

    type: Literal["lexical_alignment"] = "lexical_alignment"
    supervision: Literal["cells", "captions"] = "cells"
    """``cells``: ``meta["cell_composition"]`` (dense). ``captions``: words of the answers (multiple-instance)."""
    distance: Literal["mse", "cosine"] = "cosine"
    """How far a token is from its target (``cells`` only)."""
    readout_weight: NonNegativeFloat = 0.0
    """Weight of a second term: the shares of the classes must be readable along the directions of the class words,
    through a learnt scale and a learnt bias a class that are thrown away afterwards (``cells`` only)."""
    readout_start: PositiveFloat = 0.4
    """First value of that scale; a large one makes the two terms fight."""
    words: dict[str, str] = Field(default_factory=dict)
    """Class name to the word that stands for it; a class that is not listed stands for itself. With ``captions`` the
    values are the vocabulary; empty: every word of the training captions with at least four letters."""
    temperature: PositiveFloat = 0.1
    """Sharpness of the pooling over tokens and of the softmax over words (``captions`` only)."""

    @property
    def label(self) -> str:
        """Name in logs and checkpoints; a stage may use both kinds of supervision."""
        return f"{self.type}_{self.supervision}" if self.supervision == "captions" else self.type
