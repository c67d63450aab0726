"""METEOR without Java: words aligned exactly, then by stem, then by WordNet synonym, as nltk does it.

Not the METEOR 1.5 of pycocoevalcap, which adds paraphrases, function-word weights and tuned parameters, and gives
other values: the two are never mixed, and each says its name and version (`metrics.text.meteor_java`).

Source:
    Lavie and Agarwal, METEOR, 2007 (alpha 0.9, beta 3, gamma 0.5); nltk.translate.meteor_score, whose synonym stage
    looks up the *stems* left over by the stem stage: "houses" is looked up as "hous" and has no synonyms.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from geoprose.evaluation.metrics.text.porter import stem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from geoprose.data.sentences.ngrams import Tokens

    Synonyms = Callable[[str], Collection[str]]
    Placed = list[tuple[int, str]]

_ALPHA, _BETA, _GAMMA = 0.9, 3.0, 0.5


def meteor(candidate: Tokens, references: Sequence[Tokens], synonyms: Synonyms | None = None) -> float:
    """Return METEOR of one candidate: the best over its references.

    Args:
        candidate: Words in lower case.
        references: The words of each reference.
        synonyms: Words that mean the same as a word; exact and stem matches only when None.
    """
    return max((_single(align(candidate, own, synonyms), len(candidate), len(own)) for own in references), default=0.0)


def align(candidate: Tokens, reference: Tokens, synonyms: Synonyms | None = None) -> list[tuple[int, int]]:
    """Match words one to one and return the places of each pair, in the order of the candidate.

    Each stage takes the last word first and gives it the last equal word that is still free.
    """
    own, other = list(enumerate(candidate)), list(enumerate(reference))
    pairs = _match_equal(own, other)
    own, other = ([(place, stem(word)) for place, word in side] for side in (own, other))
    pairs += _match_equal(own, other)
    if synonyms is not None:
        pairs += _match_synonyms(own, other, synonyms)
    return sorted(pairs)


def _match_equal(own: Placed, other: Placed) -> list[tuple[int, int]]:
    """Pair equal words and take them out of both lists."""
    free: dict[str, list[int]] = {}
    for place, word in other:
        free.setdefault(word, []).append(place)
    pairs = [(place, free[word].pop()) for place, word in reversed(own) if free.get(word)]
    _take_out(own, other, pairs)
    return pairs


def _match_synonyms(own: Placed, other: Placed, synonyms: Synonyms) -> list[tuple[int, int]]:
    pairs, left = [], list(reversed(other))
    for place, word in reversed(own):
        known = {*synonyms(word), word}
        found = next((entry for entry in left if entry[1] in known), None)
        if found is not None:
            left.remove(found)
            pairs.append((place, found[0]))
    return pairs


def _take_out(own: Placed, other: Placed, pairs: list[tuple[int, int]]) -> None:
    taken_own, taken_other = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    own[:] = [entry for entry in own if entry[0] not in taken_own]
    other[:] = [entry for entry in other if entry[0] not in taken_other]


def _single(pairs: list[tuple[int, int]], candidate_length: int, reference_length: int) -> float:
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / candidate_length, len(pairs) / reference_length
    f_mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
    breaks = sum((b[0] - a[0], b[1] - a[1]) != (1, 1) for a, b in pairwise(pairs))
    penalty: float = _GAMMA * ((breaks + 1) / len(pairs)) ** _BETA
    return (1 - penalty) * f_mean
