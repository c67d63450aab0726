"""Choose questions so that neither the question type nor the wording gives the answer away."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from geoprose.data.world.quotas import Quota
    from geoprose.data.world.tiles import TileFacts

MIN_ANSWERS = 2
"""A wording whose every instance has the same answer can be answered blind, so it is dropped."""


@dataclass(frozen=True)
class Candidate:
    """A question about one or two tiles, with its true answer.

    Attributes:
        task: Question type.
        question: Text without image marks.
        answer: The answer to train on.
        accepted: Every answer scored as right.
        facts: The tiles asked about, in the order of the pictures.
        box_px: ``(x_min, y_min, x_max, y_max)`` in tile pixels where the answer is a box.
        stratum: What to balance over where answers hardly repeat, such as the quarter a box lies in; else the answer.
        weight: How often to draw this question in training, relative to others.
    """

    task: str
    question: str
    answer: str
    accepted: tuple[str, ...]
    facts: tuple[TileFacts, ...]
    box_px: tuple[int, int, int, int] | None = None
    stratum: str = ""
    weight: float | None = None

    @property
    def key(self) -> str:
        """Name that is unique within a split."""
        return "|".join((self.task, self.question, *(facts.tile.id for facts in self.facts)))


def choose(candidates: Iterable[Candidate], quota: Quota, seed: int) -> list[Candidate]:
    """Take questions in rounds: each round takes one of every answer of every wording.

    So at whatever round the quota stops it, answers are equally frequent within each wording and wordings are equally
    frequent, as far as candidates last. The order within an answer is a hash of the seed and the question, so it
    depends on nothing else.
    """
    wordings = _wordings(candidates, quota, seed)
    used: Counter[str] = Counter()
    chosen: list[Candidate] = []
    while wordings and len(chosen) < quota.total:
        for name in sorted(wordings):
            taken = wordings[name].take_round(used)
            if not taken:
                del wordings[name]
            chosen += taken
            used.update(facts.tile.id for candidate in taken for facts in candidate.facts)
    return sorted(chosen, key=lambda candidate: candidate.key)


class _Wording:
    """The candidates of one question text, by answer, and how many of each were taken."""

    def __init__(self, by_answer: dict[str, list[Candidate]], quota: Quota) -> None:
        self._by_answer = by_answer
        self._quota = quota
        self._taken: Counter[str] = Counter()

    def take_round(self, used: Mapping[str, int]) -> list[Candidate]:
        """Return one candidate per answer that may still grow; empty when the wording is exhausted."""
        ready = {name: self._next(name, used) for name in sorted(self._by_answer)}
        for name in [name for name, candidate in ready.items() if candidate is None and not self._taken[name]]:
            del self._by_answer[name]  # never taken: its tiles are all used up, so it is no answer of this wording
        if len(self._by_answer) < MIN_ANSWERS:
            return []
        exhausted = [self._taken[name] for name in self._by_answer if ready[name] is None]
        limit = self._limit(exhausted)
        picked = {name: c for name, c in ready.items() if c is not None and self._taken[name] < limit}
        for name in picked:
            self._by_answer[name].pop()
            self._taken[name] += 1
        return list(picked.values())

    def _limit(self, exhausted: Sequence[int]) -> float:
        """Return how many of each answer may be taken, given the counts of those that ran out."""
        limit = float("inf") if self._quota.per_answer is None else self._quota.per_answer
        if self._quota.is_even and exhausted:
            limit = min(limit, max(self._quota.at_least, min(exhausted)))
        return limit

    def _next(self, name: str, used: Mapping[str, int]) -> Candidate | None:
        """Return the next candidate of an answer whose tiles may still be asked about, without taking it."""
        items = self._by_answer[name]
        while items and any(used.get(facts.tile.id, 0) >= self._quota.per_tile for facts in items[-1].facts):
            items.pop()
        return items[-1] if items else None


def _wordings(candidates: Iterable[Candidate], quota: Quota, seed: int) -> dict[str, _Wording]:
    groups: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in candidates:
        groups[candidate.question][candidate.stratum or candidate.answer].append(candidate)
    return {
        text: _Wording({answer: _hashed(items, seed) for answer, items in by_answer.items()}, quota)
        for text, by_answer in groups.items()
    }


def _hashed(items: Sequence[Candidate], seed: int) -> list[Candidate]:
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}|{item.key}|{item.answer}".encode()).digest())
