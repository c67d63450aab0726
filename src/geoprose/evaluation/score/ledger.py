"""Judgements by column: eight bytes and a bit per answer and figure, however many answers there are."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoprose.evaluation.metrics.base import Judged


class Ledger:
    """The judgements of one question type under one variant, in the order in which its items came.

    Attributes:
        pairs: How often each (right answer, answer read) occurred, where there is one right answer.
        corpus: Figures of the whole set.
        tables: Larger results of the whole set.
        unavailable: What could not be computed, and why.
    """

    def __init__(self) -> None:
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.corpus: dict[str, float] = {}
        self.tables: dict[str, Any] = {}
        self.unavailable: dict[str, str] = {}
        self._scores = array("d")
        self._is_parsed = bytearray()
        self._extras: dict[str, array[float]] = {}
        self._pieces = 0

    def __len__(self) -> int:
        return len(self._scores)

    @property
    def scores(self) -> NDArray[np.float64]:
        """The score of each item."""
        return np.frombuffer(self._scores, dtype=np.float64) if self._scores else np.zeros(0)

    @property
    def is_parsed(self) -> NDArray[np.bool_]:
        """Whether each answer could be read."""
        return np.frombuffer(self._is_parsed, dtype=np.bool_) if self._is_parsed else np.zeros(0, dtype=bool)

    @property
    def unparsed(self) -> int:
        """Answers that could not be read."""
        return len(self._is_parsed) - sum(self._is_parsed)

    def add(self, judged: Judged) -> None:
        """Append the judgements of the next items."""
        before = len(self._scores)
        for judgement in judged.judgements:
            self._scores.append(judgement.score)
            self._is_parsed.append(judgement.is_parsed)
            if judgement.truth:
                self.pairs[judgement.truth, judgement.label] += 1
        for key in dict.fromkeys(key for judgement in judged.judgements for key in judgement.extras):
            column = self._extras.setdefault(key, array("d"))
            column.extend(0.0 for _ in range(before - len(column)))
            column.extend(float(judgement.extras.get(key, 0.0)) for judgement in judged.judgements)
        self._keep_whole_set(judged)

    def extras(self) -> dict[str, float]:
        """Return the mean of each further figure over all items; an item without it counts as 0."""
        return {key: sum(self._extras[key]) / len(self) for key in sorted(self._extras)} if len(self) else {}

    def _keep_whole_set(self, judged: Judged) -> None:
        self._pieces += 1
        self.unavailable.update(judged.unavailable)
        if self._pieces == 1:
            self.corpus, self.tables = dict(judged.corpus), dict(judged.tables)
            return
        # Contract: a metric that is judged in pieces has no figures of the whole set; never pass a piece's for it.
        for name in {*self.corpus, *self.tables, *judged.corpus, *judged.tables}:
            self.unavailable[name] = "computed for pieces of a long list only, so there is no figure of the whole set"
        self.corpus, self.tables = {}, {}
