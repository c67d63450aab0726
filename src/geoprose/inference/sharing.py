"""Which way a system shares what it computed of a prefix, and the work in pieces that follow from it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from transformers import DynamicCache

from geoprose.core.errors import ConfigError, InputError
from geoprose.inference.cascade import CascadedPrefixes, obstacle_to_cascade
from geoprose.inference.continuations import run_prefixes
from geoprose.inference.features import FeatureCache
from geoprose.inference.shared_prefix import COPY_ROWS, batches, group_prompts, pieces
from geoprose.inference.shared_prefix_copy import CopiedPrefixes, can_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from geoprose.inference.continuations import Continuations
    from geoprose.inference.shared_prefix import Prompt, Row
    from geoprose.systems.build import System

logger = logging.getLogger(__name__)

Sharing = Literal["auto", "cascade", "copy", "none"]
"""How questions about one picture share its prefix: ``cascade`` copies nothing, ``copy`` copies the cache to each row,
``none`` runs every prompt whole; ``auto`` takes the first of them that the system allows. Answers are the same."""


def choose_sharing(system: System, wanted: Sharing = "auto") -> Sharing:
    """Return the way to share prefixes.

    Args:
        system: Model and processor.
        wanted: What was asked for; anything but ``auto`` is kept.

    Raises:
        ConfigError: If the name is unknown, or the system cannot share in the way that was asked for.
    """
    if wanted not in get_args(Sharing):
        raise ConfigError(f"sharing {wanted!r} is unknown. Known: {', '.join(get_args(Sharing))}.")
    if wanted == "none":
        return "none"
    obstacle = obstacle_to_copy(system)
    if obstacle is not None:
        return _fall_back(system, wanted, "none", obstacle)
    if wanted == "copy":
        return "copy"
    obstacle = obstacle_to_cascade(system)
    if obstacle is not None:
        return _fall_back(system, wanted, "copy", obstacle)
    return "cascade"


def _fall_back(system: System, wanted: Sharing, instead: Sharing, obstacle: str) -> Sharing:
    if wanted != "auto":
        raise ConfigError(
            f"{system.spec.name} cannot share prefixes by {wanted!r}: {obstacle}. Use sharing='auto', which takes "
            f"{instead!r} here."
        )
    logger.info("%s shares prefixes by %s: %s", system.spec.name, instead, obstacle)
    return instead


def obstacle_to_copy(system: System) -> str | None:
    """Return why questions about one picture cannot share what was computed of it; None where they can."""
    if system.model.config.is_encoder_decoder:
        return "an encoder reads the whole prompt at once"
    if system.processor.condition_tokenizer is not None:
        return "the question decides how the picture is read"
    if not can_fork(DynamicCache(config=system.model.model.language_model.config)):
        return "its cache holds more than keys and values (linear attention)"
    return None


@dataclass(frozen=True)
class Work:
    """One piece of work: rows and what they go on from.

    Attributes:
        rows: The rows.
        begin: Makes the continuations behind their prefixes; nothing was fed yet. Called once, by whoever works.
    """

    rows: list[Row]
    begin: Callable[[], Continuations]


@dataclass(frozen=True)
class Plan:
    """How a list of prompts is worked off.

    Attributes:
        sharing: ``cascade`` or ``copy``.
        batch_size: Most rows of a piece.
        features: Encoder outputs of the pictures.
    """

    sharing: Sharing
    batch_size: int
    features: FeatureCache

    def work(self, system: System, prompts: Sequence[Prompt]) -> Iterator[Work]:
        """Run each prefix once and yield the rows behind it, piece by piece."""
        way: type[CascadedPrefixes | CopiedPrefixes] = CascadedPrefixes
        if self.sharing == "copy":
            way = CopiedPrefixes
        max_rows = self.batch_size
        if self.sharing == "copy" and system.model.device.type == "cpu":
            max_rows = min(max_rows, COPY_ROWS)
        for batch in batches(group_prompts(system, prompts), self.batch_size):
            prefixes = run_prefixes(system, self.features, batch)
            for owner_B, rows in pieces(batch, max_rows):
                # Why not the continuations themselves: those of two pieces would then be in memory at once.
                yield Work(rows, partial(way, system, prefixes, owner_B))


def plan(system: System, sharing: Sharing, batch_size: int, features: FeatureCache | None) -> Plan | None:
    """Return how to share prefixes, or None where every prompt must be run whole.

    Raises:
        ConfigError: If the system cannot share in the way that was asked for.
        InputError: If a blind answer is asked of a system that reads pictures together with the question.
    """
    chosen = choose_sharing(system, sharing)
    if chosen != "none":
        return Plan(chosen, batch_size, features or FeatureCache(system))
    if features is not None and features.is_blind:
        raise InputError(
            f"{system.spec.name} cannot answer blind in this way: its pictures are read together with each question."
        )
    return None
