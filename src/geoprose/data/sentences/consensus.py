"""How typical a sentence is of what people say about pictures of its scene."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from geoprose.data.sentences.ngrams import MAX_N, count_ngrams
from geoprose.data.sentences.tokens import tokenise_caption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Vector: TypeAlias = "dict[tuple[str, ...], float]"
"""N-grams of one order with their weights."""


def consensus(sentences: Sequence[Sequence[str]], scenes: Sequence[str]) -> list[dict[str, float]]:
    """Return how well each sentence fits the other pictures of its scene: its mean CIDEr against each of theirs.

    The first definition of CIDEr (``is_clipped=False``) is a mean of cosines, so the mean over all sentences of a scene
    is one product with the sum of their unit vectors: no pair of sentences is compared. A picture's own sentences do
    not count, and neither do repeats (RSICD fills up to five sentences by repeating some).

    Args:
        sentences: The sentences of each picture. N-grams are weighed by the pictures in which they occur, so give all
            pictures of a set together.
        scenes: What each picture shows.

    Returns:
        For each picture the value of each different sentence, 0 to 10, in the order of first appearance; 0 where no
        other picture shows the scene.

    Source:
        The consensus caption of Devlin et al., arXiv:1505.04467, with the pictures of a scene for nearest neighbours;
        Vedantam et al., arXiv:1411.5726, equations 1 to 3.
    """
    own = [list(dict.fromkeys(texts)) for texts in sentences]
    words = {text: tokenise_caption(text) for texts in own for text in texts}
    counts: Counter[str] = Counter()
    for texts, scene in zip(own, scenes, strict=True):
        counts[scene] += len(texts)
    found = [dict.fromkeys(texts, 0.0) for texts in own]
    for order in range(1, MAX_N + 1):
        units = _unit_vectors(own, words, order)
        sums: dict[str, Vector] = {scene: {} for scene in counts}
        for texts, scene in zip(own, scenes, strict=True):
            _add(sums[scene], texts, units)
        for values, scene in zip(found, scenes, strict=True):
            mine: Vector = {}
            _add(mine, values, units)
            others = max(1, counts[scene] - len(values))
            for text in values:
                total = sum(weight * (sums[scene][gram] - mine[gram]) for gram, weight in units[text].items())
                values[text] += 10.0 / MAX_N * max(0.0, total) / others
    return found


def _unit_vectors(own: Sequence[Sequence[str]], words: Mapping[str, Sequence[str]], order: int) -> dict[str, Vector]:
    """Return the TF-IDF vector of each sentence, of length 1 (or 0, where no n-gram tells pictures apart)."""
    grams = {text: count_ngrams(said, order) for text, said in words.items()}
    pictures = Counter(gram for texts in own for gram in {gram for text in texts for gram in grams[text]})
    units = {}
    for text, counted in grams.items():
        vector = {gram: count * math.log(len(own) / pictures[gram]) for gram, count in counted.items()}
        length = math.hypot(*vector.values()) or 1.0
        units[text] = {gram: weight / length for gram, weight in vector.items()}
    return units


def _add(total: Vector, texts: Sequence[str] | Mapping[str, float], units: Mapping[str, Vector]) -> None:
    for text in texts:
        for gram, weight in units[text].items():
            total[gram] = total.get(gram, 0.0) + weight
