"""Is one system better than another on the same questions: exact tests, and a correction for asking often."""

# Q questions, C clusters, R random assignments

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

NUM_PERMUTATIONS = 10_000
SEED = 0
_CHUNK = 500


@dataclass(frozen=True)
class Flips:
    """Questions on which two systems differ, for scores that are 0 or 1.

    Attributes:
        gained: Wrong in the first, right in the second.
        lost: Right in the first, wrong in the second.
    """

    gained: int
    lost: int


def flips(first: Sequence[float], second: Sequence[float]) -> Flips:
    """Count the questions whose score rose and fell."""
    rise = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    return Flips(int((rise > 0).sum()), int((rise < 0).sum()))


def mcnemar_exact(gained: int, lost: int) -> float:
    """Return the two-sided p-value of the exact McNemar test: were as many answers gained as lost by chance?

    Source:
        McNemar, Psychometrika 12 (1947); exact form: a binomial test of the discordant pairs with probability 1/2.
    """
    from scipy.special import bdtr  # type: ignore[import-untyped]  # scipy ships no types

    total = gained + lost
    if total == 0:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(min(gained, lost), total, 0.5)))


def permutation_test(
    first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable], seed: int = SEED
) -> float:
    """Return the two-sided p-value of a paired permutation test that exchanges the systems picture by picture.

    Questions about one picture succeed or fail together, so they are exchanged together; McNemar's test, which takes
    them as independent, finds differences too easily. With few clusters every assignment is tried, else
    ``NUM_PERMUTATIONS`` random ones, counted with the observed one so that p is never 0.

    Args:
        first: Scores of one system per question.
        second: Scores of the other, in the same order.
        clusters: The cluster (picture) of each question.
        seed: Seed of the random assignments.

    Source:
        Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd ed., section 3.2; p as in Phipson and
        Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010).
    """
    difference_Q = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    sums_C = np.bincount([places[cluster] for cluster in clusters], weights=difference_Q, minlength=len(places))
    sums_C = sums_C[sums_C != 0]
    if not len(sums_C):
        return 1.0
    observed = abs(float(sums_C.sum())) - 1e-9
    if 2 ** len(sums_C) <= NUM_PERMUTATIONS:
        bits_RC = (np.arange(2 ** len(sums_C))[:, None] >> np.arange(len(sums_C))) & 1
        return float((np.abs((bits_RC * 2.0 - 1.0) @ sums_C) >= observed).mean())
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(0, NUM_PERMUTATIONS, _CHUNK):
        signs_RC = rng.integers(0, 2, (_CHUNK, len(sums_C)), dtype=np.int8) * 2.0 - 1.0
        hits += int((np.abs(signs_RC @ sums_C) >= observed).sum())
    return (hits + 1) / (NUM_PERMUTATIONS + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values that stay valid although several questions are asked at once.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979).
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
