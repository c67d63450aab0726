"""How many questions of each type a split gets, and how even their answers are."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from geoprose.core.spec import Spec


class Quota(Spec):
    """How many questions of one type to take."""

    total: PositiveInt
    """Upper limit over all wordings."""
    per_tile: PositiveInt = 2
    """Upper limit per tile, so that many places are asked about."""
    max_ratio: float = Field(default=1.0, ge=1)
    """How many times more frequent than the rarest kept answer of a wording another answer may be."""
    min_count: PositiveInt = 1
    """Answers of a wording with fewer candidates are dropped: one odd answer would starve the rest."""


TEST_QUOTAS: dict[str, Quota] = {
    "presence": Quota(total=200),
    "dominant": Quota(total=160, per_tile=1, max_ratio=2, min_count=5),
    "comparison": Quota(total=200, min_count=3),
    "location": Quota(total=200),
    "amount": Quota(total=160),
    "list": Quota(total=120, per_tile=1, max_ratio=3, min_count=3),
    "two_tile": Quota(total=160),
    "box": Quota(total=100, per_tile=1, max_ratio=4),
    "caption": Quota(total=60, per_tile=1, max_ratio=4),
}


def scaled(quotas: dict[str, Quota], factor: float, per_tile: int) -> dict[str, Quota]:
    """Return the same quotas with other totals."""
    return {
        task: quota.model_copy(update={"total": round(quota.total * factor), "per_tile": max(per_tile, quota.per_tile)})
        for task, quota in quotas.items()
    }


TRAIN_QUOTAS = scaled(TEST_QUOTAS, 10, per_tile=4)
VAL_QUOTAS = scaled(TEST_QUOTAS, 0.4, per_tile=2)
