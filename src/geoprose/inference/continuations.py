"""Rows that go on behind prefixes they share: two ways with one face, so that decoding and scoring know neither."""

# B rows, G prefixes, T tokens of a pass, O vocabulary

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geoprose.models.inputs import state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import Cache

    from geoprose.inference.features import FeatureCache
    from geoprose.inference.shared_prefix import Group
    from geoprose.systems.build import System


@dataclass(frozen=True)
class Prefixes:
    """Prefixes of equal length, computed.

    Attributes:
        cache: Their keys and values, one row per prefix, and the state that rides on it; None for no tokens.
        length: Their tokens.
    """

    cache: Cache | None
    length: int

    @property
    def state(self) -> dict[str, Any]:
        """What the parts of the system left for later passes, one row per prefix."""
        return state_of(self.cache)


class Continuations(ABC):
    """Rows that go on behind shared prefixes, a few tokens at a time."""

    @abstractmethod
    def feed(self, tokens: Sequence[Sequence[int]], keeps_all: bool = False) -> Tensor:
        """Read new tokens of every row, at least one each.

        Args:
            tokens: The tokens of each row.
            keeps_all: Return the logits behind every token, not only behind the last of each row.

        Returns:
            Logits (B, O), or (T, O) row by row.
        """

    @abstractmethod
    def fork(self, rows_B: Tensor) -> Continuations:
        """Return the continuations of these rows, ascending, repeats allowed; these here stay as they are."""

    @abstractmethod
    def keep(self, rows_B: Tensor) -> None:
        """Go on with these rows, repeats allowed; rows behind one prefix stay in one run, prefixes ascending."""


def run_prefixes(system: System, features: FeatureCache, groups: Sequence[Group]) -> Prefixes:
    """Run the prefixes of groups, which must have one length, each once.

    Args:
        system: Model and processor.
        features: Encoder outputs of the pictures.
        groups: What to run.
    """
    length = len(groups[0].prefix_ids)
    if not length:
        return Prefixes(None, 0)
    prefix_GT = torch.tensor([group.prefix_ids for group in groups], device=system.model.device)
    inputs: dict[str, Any] = {}
    if any(group.images for group in groups):
        inputs = dict(features.get([group.images for group in groups]))
    mask_GT = torch.ones_like(prefix_GT)
    output = system.model(input_ids=prefix_GT, attention_mask=mask_GT, use_cache=True, logits_to_keep=1, **inputs)
    return Prefixes(output.past_key_values, length)


def ends_of_rows(tokens: Sequence[Sequence[int]]) -> Tensor:
    """Return the place of each row's last token among the tokens of all rows (B,)."""
    return torch.tensor([len(row) for row in tokens]).cumsum(0) - 1


def left_padding(tokens: Sequence[Sequence[int]]) -> Tensor:
    """Return (B, L): True where a row padded on the left to the longest has a token."""
    longest = max(len(row) for row in tokens)
    lengths_B1 = torch.tensor([len(row) for row in tokens])[:, None]
    return torch.arange(longest)[None] >= longest - lengths_B1
