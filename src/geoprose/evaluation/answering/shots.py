"""Solved examples before a question: which ones, and what they look like."""

# Source: interleaved examples as Flamingo is evaluated (Alayrac et al., arXiv:2204.14198, section 3.2 and appendix B).

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.errors import TaskError
from geoprose.core.types import Message
from geoprose.evaluation.predictions import references_of
from geoprose.processing.prompt import IMAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from geoprose.core.types import Sample
    from geoprose.evaluation.answering.prompts import PromptWriter
    from geoprose.evaluation.predictions import ImageHashes
    from geoprose.evaluation.tasks import PromptSpec


class Shots:
    """Chooses solved examples of the training split, of the same question type, never with the question's own picture.

    The choice depends on the seed and on the ids alone. With fixed examples every question of a type gets the first
    ones of one seeded order; an example that shows the question's own picture (by path or by content) is passed over.

    Args:
        prompt: How many examples, which choice, which seed.
        train: Samples to choose from.
        hashes: Content of the pictures.
    """

    def __init__(self, prompt: PromptSpec, train: Sequence[Sample], hashes: ImageHashes) -> None:
        self._prompt = prompt
        self._hashes = hashes
        self._pools: dict[str, list[Sample]] = defaultdict(list)
        for sample in sorted(train, key=lambda one: _digest(prompt.shot_seed, one.id)) if prompt.shots else ():
            self._pools[sample.task].append(sample)

    def of(self, sample: Sample) -> list[Sample]:
        """Return the examples of a question, in the order in which they are shown.

        Raises:
            TaskError: If the training split has too few.
        """
        if not self._prompt.shots:
            return []
        own = {*sample.images, *self._hashes.of(sample.images)}
        chosen: list[Sample] = []
        for candidate in self._candidates(sample):
            if not own & {*candidate.images, *self._hashes.of(candidate.images)}:
                chosen.append(candidate)
            if len(chosen) == self._prompt.shots:
                return chosen
        raise TaskError(
            f"{self._prompt.shots} solved examples are wanted before {sample.id}, and the training split has "
            f"{len(chosen)} of type {sample.task!r} with other pictures. Ask for fewer, or give training data."
        )

    def _candidates(self, sample: Sample) -> Iterable[Sample]:
        pool = self._pools.get(sample.task, [])
        if self._prompt.are_shots_fixed:
            return pool
        rng = np.random.default_rng(int(_digest(self._prompt.shot_seed, sample.id), 16))
        return (pool[int(place)] for place in rng.permutation(len(pool)))


def shot_messages(examples: Sequence[Sample], writer: PromptWriter, image_suffix: str) -> list[Message]:
    """Return the turns of solved examples: pictures and question, right answer."""
    turns = []
    for example in examples:
        block = (IMAGE_MARK + image_suffix) * len(example.images)
        turns.append(Message("user", block + writer.text(example)))
        turns.append(Message("assistant", references_of(example)[0]))
    return turns


def _digest(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
