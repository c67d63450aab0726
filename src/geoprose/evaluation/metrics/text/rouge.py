"""ROUGE of captions: the COCO definition of ROUGE-L, and ROUGE-1/2/L as the package rouge-score computes them.

The two disagree by a factor of about two on data with several references: COCO takes the best precision and the best
recall over the references, others average the F1 over them.

Source:
    Lin, ROUGE, 2004; tylin/coco-caption rouge.py (beta 1.2); google-research rouge_score (tokens, stemmer, F1);
    Hyyro, Bit-parallel LCS-length computation revisited, 2004.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.sentences.ngrams import count_ngrams
from geoprose.evaluation.metrics.text.porter import stem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoprose.data.sentences.ngrams import EncodedCaptions, Ints, Tokens

_BETA = 1.2
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")
_SHORTEST_STEMMED = 4
_MAX_CELLS = 1 << 21
"""Words of the padded references of one batch: bounds the memory of `lcs_lengths` to some 100 MB."""


def tokenise_rouge(text: str, is_stemmed: bool = False) -> list[str]:
    """Split as the package rouge-score does: lower case, anything but ASCII letters and digits separates.

    Args:
        text: A caption.
        is_stemmed: Whether words of more than three letters are cut to their Porter stem.
    """
    words = _NOT_ALPHANUMERIC.sub(" ", text.lower()).split()
    return [stem(word) if len(word) >= _SHORTEST_STEMMED else word for word in words] if is_stemmed else words


def rouge_n_f1(candidate: Tokens, reference: Tokens, n: int) -> float:
    """Return F1 of the ``n``-grams that candidate and reference share."""
    own, other = count_ngrams(candidate, n), count_ngrams(reference, n)
    return _f1((own & other).total(), own.total(), other.total())


def rouge_l_f1(candidate: Tokens, reference: Tokens) -> float:
    """Return F1 of the longest common subsequence."""
    return _f1(longest_common_subsequence(candidate, reference), len(candidate), len(reference))


def rouge_l(captions: EncodedCaptions) -> NDArray[np.float64]:
    """Return COCO's ROUGE-L of each candidate: F of the best precision and the best recall, beta 1.2."""
    if not captions.num_items:
        return np.zeros(0)
    common_R = lcs_lengths(captions)
    lengths_C = captions.candidate_lengths
    recall_R = common_R / np.maximum(captions.reference_lengths, 1)
    precision_C = np.maximum.reduceat(common_R, captions.first_references) / np.maximum(lengths_C, 1)
    recall_C = np.maximum.reduceat(recall_R, captions.first_references)
    below_C = recall_C + _BETA**2 * precision_C
    return np.divide((1 + _BETA**2) * precision_C * recall_C, below_C, out=np.zeros(len(below_C)), where=below_C > 0)


def longest_common_subsequence(first: Sequence[object], second: Sequence[object]) -> int:
    """Return the length of the longest common subsequence, one bit per element of ``first``."""
    masks: dict[object, int] = {}
    for place, element in enumerate(first):
        masks[element] = masks.get(element, 0) | 1 << place
    everything = (1 << len(first)) - 1
    row = everything
    for element in second:
        found = row & masks.get(element, 0)
        row = ((row + found) | (row - found)) & everything
    return len(first) - row.bit_count()


def lcs_lengths(captions: EncodedCaptions) -> Ints:
    """Return the longest common subsequence of each reference with its item's candidate, many pairs at a time.

    Shapes: ``(R,)``.
    """
    lengths_R = captions.reference_lengths
    own_R = captions.candidate_lengths[captions.item_R]
    result_R = np.zeros(len(lengths_R), dtype=np.int64)
    # Pairs of like lengths share a batch, so little is padded.
    order = np.lexsort((lengths_R, own_R))
    narrow = order[own_R[order] <= _WIDEST]
    start = 0
    while start < len(narrow):
        longest = max(int(lengths_R[narrow[start:]].max()), _WIDEST)
        batch = narrow[start : start + max(_MAX_CELLS // longest, 1)]
        result_R[batch] = _lcs_batch(captions, batch)
        start += len(batch)
    for reference in order[own_R[order] > _WIDEST]:
        own, other = captions.item_R[reference], captions.num_items + reference
        result_R[reference] = longest_common_subsequence(_sentence(captions, own), _sentence(captions, other))
    return result_R


_WIDTHS = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
_WIDEST = 64


def _lcs_batch(captions: EncodedCaptions, references: Ints) -> Ints:
    own_PM = _padded(captions, captions.item_R[references], -1)
    other_PN = _padded(captions, captions.num_items + references, -2)
    width = next(width for width in _WIDTHS if own_PM.shape[1] <= width)
    is_equal_PW = np.zeros((len(references), width), dtype=np.uint8)
    row_P = np.full(len(references), -1, dtype=np.int64).astype(_WIDTHS[width])
    for place in range(other_PN.shape[1]):
        is_equal_PW[:, : own_PM.shape[1]] = own_PM == other_PN[:, place, None]
        masks_P = np.packbits(is_equal_PW, axis=1, bitorder="little").view(_WIDTHS[width])[:, 0]
        found_P = row_P & masks_P
        row_P = (row_P + found_P) | (row_P - found_P)
    # Bits beyond the candidate never match anything, so they stay 1 and only zeros of the candidate's bits are counted.
    zeros_PW = np.unpackbits((~row_P)[:, None].view(np.uint8), axis=1)
    return np.asarray(zeros_PW.sum(axis=1), dtype=np.int64)


def _padded(captions: EncodedCaptions, sentences: Ints, padding: int) -> Ints:
    """Return the words of some sentences as a table, short ones filled up with ``padding``."""
    lengths = captions.lengths[sentences]
    place_PN = np.arange(max(int(lengths.max(initial=0)), 1))[None, :]
    is_word_PN = place_PN < lengths[:, None]
    table_PN = np.full(is_word_PN.shape, padding, dtype=np.int64)
    table_PN[is_word_PN] = captions.words_W[(captions.starts_S[sentences][:, None] + place_PN)[is_word_PN]]
    return table_PN


def _sentence(captions: EncodedCaptions, sentence: int) -> list[int]:
    words: list[int] = captions.words_W[captions.starts_S[sentence] : captions.starts_S[sentence + 1]].tolist()
    return words


def _f1(common: int, candidate: int, reference: int) -> float:
    return 2 * common / (candidate + reference) if common else 0.0
