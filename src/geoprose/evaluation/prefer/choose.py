"""Which of a question's answers is preferred to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Outcome = Literal["pair", "tie", "all_bad"]
"""``tie``: no two answers differ enough; ``all_bad``: not even the best one is worth anything."""


@dataclass(frozen=True)
class Choice:
    """What a question gives.

    Attributes:
        outcome: Whether there is a pair, and why not.
        chosen: Place of the preferred answer.
        rejected: Place of the rejected one.
    """

    outcome: Outcome
    chosen: int = -1
    rejected: int = -1


def choose(texts: Sequence[str], scores: Sequence[float], min_gap: float = 0.0) -> Choice:
    """Prefer the best answer to the worst.

    Of equally good answers the most frequent text stands for them, of equally frequent ones the first. An empty answer
    is neither preferred nor rejected: it has no log-probability.

    Args:
        texts: The answers.
        scores: Larger is better.
        min_gap: The scores of a pair must differ by more.
    """
    said = [place for place, text in enumerate(texts) if text]
    if not said or max(scores[place] for place in said) <= 0:
        return Choice("all_bad")
    frequency = {text: texts.count(text) for text in set(texts)}

    def best_of(sign: float) -> int:
        return max(said, key=lambda place: (sign * scores[place], frequency[texts[place]], -place))

    chosen, rejected = best_of(1.0), best_of(-1.0)
    if scores[chosen] - scores[rejected] <= min_gap:
        return Choice("tie")
    return Choice("pair", chosen, rejected)
