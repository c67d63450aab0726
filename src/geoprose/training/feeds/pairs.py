"""Pairs of a picture and what belongs to it, for losses that compare the pairs of a batch."""

# N pairs, T tokens of the longest text

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import DataError
from geoprose.data.mixture import generator
from geoprose.training.feeds.base import Feed, FeedContext
from geoprose.training.losses.pairs import PairLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.data.mixture import Unit

TEXT_KEY, PICTURE_KEY = "text_key", "picture_key"


class PairFeed(Feed):
    """One pair a unit: its first picture, and what the losses read beside it (the last answer of a sample).

    A batch holds the pictures (pixels or features), what ``PairLoss.encode_partners`` makes of the other side, and two
    keys (N,) which are equal where two pairs share a text or a picture.
    """

    def __init__(self, context: FeedContext) -> None:
        super().__init__(context)
        self.losses = [loss for loss in context.losses if isinstance(loss, PairLoss)]
        # Contract: the losses of one stage agree on the other side, so the first one encodes it for all.
        self.partner = self.losses[0]

    def batch(self, units: Sequence[Unit]) -> dict[str, Tensor]:
        """Return the tensors of one micro-batch."""
        pairs = [pair_of(unit) for unit in units]
        paths = [Path(pair.root) / pair.images[0] for pair in pairs]
        pictures = self.context.vision.load(self.context.system, paths)
        if len(pictures) != len(pairs):
            raise DataError(
                f"{len(pairs)} pictures gave {len(pictures)} tiles; pairs need one tile a picture. Use a system whose "
                "resolution has one size."
            )
        names = [self.partner.partner_of(pair) for pair in pairs]
        batch = {self.context.vision.key: pictures, **self.partner.encode_partners(names)}
        batch[TEXT_KEY] = torch.tensor([key_of(name) for name in names])
        batch[PICTURE_KEY] = torch.tensor([key_of(str(path)) for path in paths])
        batch["num_tokens"] = torch.tensor(self.partner.num_tokens(batch))
        return batch

    def length(self, unit: Unit) -> int:
        """Return the tokens of a unit's text."""
        return self.partner.num_tokens(self.partner.encode_partners([self.partner.partner_of(pair_of(unit))]))


def pair_of(unit: Unit) -> Unit:
    """Return the unit with the sample that this visit pairs: its only one, or one drawn with the unit's seed.

    Raises:
        DataError: If the sample shows no picture, or several.
    """
    sample = unit.samples[int(generator(*unit.seed).integers(len(unit.samples)))]
    if len(sample.images) != 1:
        raise DataError(
            f"Sample {sample.id} shows {len(sample.images)} pictures; a pair has one. Set min_images: 1 and "
            "max_images: 1 on its source."
        )
    return replace(unit, samples=(sample,))


def key_of(name: str) -> int:
    """Return a number that is equal for equal names, in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
