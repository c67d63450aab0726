"""Captions as integers, and their n-grams counted with numpy: what BLEU and CIDEr are computed from.

``count_ngrams`` counts those of a single sentence without numbers.

Shapes: C candidates (one per item), R references, S = C + R sentences (candidates first), W words of all sentences,
E and F entries of candidates and references: one per distinct n-gram of a sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from geoprose.core.errors import TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Tokens = Sequence[str]
Ints: TypeAlias = "NDArray[np.int64]"
MAX_N = 4


@dataclass(frozen=True)
class NgramCounts:
    """The n-grams of one order: distinct ones of each sentence, with how often they occur there.

    Attributes:
        item_E: Item of each candidate entry.
        gram_E: Its n-gram.
        count_E: How often the candidate has it.
        reference_F: Reference of each reference entry, 0..R-1.
        gram_F: Its n-gram.
        count_F: How often the reference has it.
        match_F: Entry of the item's candidate with the same n-gram; -1 where it has none.
        num_grams: Distinct n-grams of all sentences.
    """

    item_E: Ints
    gram_E: Ints
    count_E: Ints
    reference_F: Ints
    gram_F: Ints
    count_F: Ints
    match_F: Ints
    num_grams: int


@dataclass(frozen=True)
class EncodedCaptions:
    """Candidates and their references as word numbers.

    Attributes:
        words_W: Word numbers, sentence after sentence.
        starts_S: Where each sentence starts in ``words_W``, and the end of the last one: S + 1 values.
        num_items: C.
        item_R: Item of each reference; references of one item are neighbours.
    """

    words_W: Ints
    starts_S: Ints
    num_items: int
    item_R: Ints

    @property
    def lengths(self) -> Ints:
        """Number of words of each sentence, ``(S,)``."""
        return np.diff(self.starts_S)

    @property
    def candidate_lengths(self) -> Ints:
        """Number of words of each candidate, ``(C,)``."""
        return self.lengths[: self.num_items]

    @property
    def reference_lengths(self) -> Ints:
        """Number of words of each reference, ``(R,)``."""
        return self.lengths[self.num_items :]

    @cached_property
    def first_references(self) -> Ints:
        """Where the references of each item start, ``(C,)``."""
        return np.searchsorted(self.item_R, np.arange(self.num_items))

    @cached_property
    def orders(self) -> tuple[NgramCounts, ...]:
        """Counts of the n-grams of order 1 to 4; made once."""
        return tuple(_count_orders(self))


def encode_captions(candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> EncodedCaptions:
    """Number the words of candidates and references, given as token lists.

    Raises:
        TaskError: If an item has no reference.
    """
    if missing := [place for place, own in enumerate(references) if not own]:
        raise TaskError(
            f"{len(missing)} captions have no reference (the first is number {missing[0] + 1}), so they cannot be "
            "scored. Give each one at least one reference sentence, or leave them out and say so."
        )
    sentences = list(chain(candidates, chain.from_iterable(references)))
    lengths_S = np.fromiter(map(len, sentences), np.int64, len(sentences))
    vocabulary: dict[str, int] = {}
    number = vocabulary.setdefault
    words = [number(word, len(vocabulary)) for word in chain.from_iterable(sentences)]
    starts_S = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths_S)])
    counts_C = np.fromiter(map(len, references), np.int64, len(references))
    item_R = np.repeat(np.arange(len(references)), counts_C)
    return EncodedCaptions(np.array(words, dtype=np.int64), starts_S, len(candidates), item_R)


def count_ngrams(tokens: Tokens, n: int) -> Counter[tuple[str, ...]]:
    """Return how often each n-gram of order ``n`` occurs in one sentence, in the order of first appearance."""
    return Counter(tuple(tokens[place : place + n]) for place in range(len(tokens) - n + 1))


def _count_orders(captions: EncodedCaptions) -> list[NgramCounts]:
    words_W = captions.words_W
    sentence_W = np.repeat(np.arange(len(captions.lengths)), captions.lengths)
    left_W = captions.starts_S[1:][sentence_W] - np.arange(len(words_W))  # words from here to the sentence's end
    num_words = int(words_W.max(initial=0)) + 1
    gram_W, counts = words_W, []
    for order in range(1, MAX_N + 1):
        if order > 1:
            place = np.flatnonzero(left_W >= order)
            keys = gram_W[place] * num_words + words_W[place + order - 1]
            gram_W = np.zeros_like(words_W)
            gram_W[place] = np.unique(keys, return_inverse=True)[1]
        counts.append(_count(captions, sentence_W, gram_W, left_W >= order))
    return counts


def _count(captions: EncodedCaptions, sentence_W: Ints, gram_W: Ints, is_start_W: NDArray[np.bool_]) -> NgramCounts:
    num_grams = int(gram_W.max(initial=0)) + 1
    keys, counts = np.unique(sentence_W[is_start_W] * num_grams + gram_W[is_start_W], return_counts=True)
    split = int(np.searchsorted(keys, captions.num_items * num_grams))
    key_E, key_F = keys[:split], keys[split:]
    reference_F = key_F // num_grams - captions.num_items
    gram_F = key_F % num_grams
    return NgramCounts(
        item_E=key_E // num_grams,
        gram_E=key_E % num_grams,
        count_E=counts[:split],
        reference_F=reference_F,
        gram_F=gram_F,
        count_F=counts[split:],
        match_F=_find(captions.item_R[reference_F] * num_grams + gram_F, key_E),
        num_grams=num_grams,
    )


def _find(wanted: Ints, known: Ints) -> Ints:
    """Return the place of each wanted key in the sorted ``known``, -1 where it is not there."""
    if not known.size:
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, place, -1)
