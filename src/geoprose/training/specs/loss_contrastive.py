"""Losses on pairs of a picture and a text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from geoprose.core.spec_paths import Place  # noqa: TC001 - pydantic reads it
from geoprose.training.specs.loss_base import BaseLossSpec

Repeated = Literal["negative", "positive", "ignore"]
"""What two pairs of a batch are to each other when they share a caption, or a picture: ``negative`` is the plain
diagonal of the published losses; ``positive`` lets both count as right; ``ignore`` takes the two out."""


class PairLossSpec(BaseLossSpec):
    """What all losses over the pairs of a batch state."""

    same_text: Repeated = "negative"
    """Two pairs with the same caption, which short captions of scenes make common."""
    same_picture: Repeated = "negative"
    """Two captions of the same picture."""


class TowerLossSpec(PairLossSpec):
    """Losses of dual encoders."""

    chunk_pairs: PositiveInt | None = None
    """Embed so many pairs at a time and compute them again in the backward pass: the memory of a chunk, the loss and
    gradient of the whole batch, for one more forward pass (GradCache, arXiv:2101.06983). Batches cannot be
    accumulated instead: two halves have other negatives than the whole."""


class ClipLossSpec(TowerLossSpec):
    """Symmetric InfoNCE of a dual encoder (CLIP)."""

    type: Literal["clip"] = "clip"


class SiglipLossSpec(TowerLossSpec):
    """Pairwise sigmoid loss of a dual encoder (SigLIP); the system needs ``logits.bias_init``."""

    type: Literal["siglip"] = "siglip"


class QFormerLossSpec(PairLossSpec):
    """What the three losses of BLIP-2's first stage share; what they say of the words must agree.

    Words, text feed-forwards and heads train with the stage and are thrown away after it, as BLIP-2 does; a connector
    with ``condition`` keeps its own words.
    """

    bert: Place = ""
    """Folder of a BERT for masked words, with its tokenizer, that the Q-Former starts from, as published; empty: the
    Q-Former starts as the system has it, and its words at random."""
    tokenizer: Place = ""
    """Folder of another tokenizer for the captions; empty: that of ``bert``, else that of the system's instructions,
    else that of its language model."""
    max_tokens: PositiveInt = 32
    """Tokens kept of a caption, start and end included."""
    shared_size: PositiveInt = 256
    """Width of the space in which pictures and texts are compared."""


class ItcLossSpec(QFormerLossSpec):
    """Image-text contrast: the best query of a picture against the first token of a text."""

    type: Literal["itc"] = "itc"
    temperature: PositiveFloat = 0.07
    """First value; it is learnt."""
    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)


class ItmLossSpec(QFormerLossSpec):
    """Image-text matching: does a text belong to a picture? Negatives are drawn by how alike ``itc`` finds them."""

    type: Literal["itm"] = "itm"


class ItgLossSpec(QFormerLossSpec):
    """Image-grounded text generation: the caption word by word from the queries."""

    type: Literal["itg"] = "itg"
    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)


class ImagebindInfonceSpec(PairLossSpec):
    """InfoNCE between pictures and another modality of the same place (ImageBind)."""

    type: Literal["imagebind_infonce"] = "imagebind_infonce"
    modality: str
    """Branch that trains, such as ``thermal``; ``meta["media"]`` of each sample names one file of it."""
    temperature: PositiveFloat = 0.07
    """Fixed."""

    @property
    def label(self) -> str:
        """Name in logs and checkpoints."""
        return f"{self.type}_{self.modality}"


ContrastiveLossSpec = ClipLossSpec | SiglipLossSpec | ItcLossSpec | ItmLossSpec | ItgLossSpec | ImagebindInfonceSpec
