"""How far the people who described a picture agree with each of their sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.sentences.cider import cider
from geoprose.data.sentences.ngrams import encode_captions
from geoprose.data.sentences.tokens import tokenise_caption

if TYPE_CHECKING:
    from collections.abc import Sequence


def agreements(sentences: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """Return how far the sentences of a picture agree with each of them: CIDEr against them all, itself included.

    A picture's most agreed sentence is the one nearest to what a further annotator would have written: typing errors,
    rare words and odd remarks lower it. A sentence of four words or more that all wrote alike gets 10.

    Args:
        sentences: The sentences of each picture, repeats kept: each is a vote. N-grams are weighed by the
            pictures in which they occur, so give all pictures of a set together.

    Returns:
        For each picture the agreement of each distinct sentence, 0 to 10, in the order of first appearance.

    Source:
        The consensus scores of Phan et al., arXiv:1712.09532, by which they weigh training captions (WXE).
    """
    words = [[tokenise_caption(text) for text in own] or [[]] for own in sentences]
    found: list[dict[str, float]] = [{} for _ in sentences]
    # Why round by round: CIDEr compares one candidate of a picture, and counts each picture once in its frequencies.
    for place in range(max(map(len, sentences), default=0)):
        scores = cider(encode_captions([own[min(place, len(own) - 1)] for own in words], words))
        for own, score, scored in zip(sentences, scores, found, strict=True):
            if place < len(own):
                scored[own[place]] = float(score)
    return found
