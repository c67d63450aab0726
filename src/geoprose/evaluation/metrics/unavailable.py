"""What a metric returns when it cannot score at all: no number, and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.base import Judged, Judgement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.metrics.base import Item

SCORE = "score"
"""Key of ``Judged.unavailable`` that says that the score itself does not exist: its judgements must not be shown."""


def no_score(items: Sequence[Item], reason: str) -> Judged:
    """Return placeholders for ``items`` and the reason why there is no score."""
    return Judged(tuple(Judgement(0.0, False, "") for _ in items), unavailable={SCORE: reason})
