"""CIDEr and CIDEr-D.

pycocoevalcap, and with it nearly every paper, calls CIDEr-D "CIDEr": n-gram weights are clipped to the reference's and
a difference in length is punished. The paper's first definition, without either, is kept under ``is_clipped=False``.

Source:
    Vedantam et al., arXiv:1411.5726, equations 1 to 4; tylin/coco-caption cider_scorer.py (n = 4, sigma = 6, document
    frequencies from the references of the evaluated set, length counted in bigrams).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.sentences.ngrams import MAX_N, EncodedCaptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoprose.data.sentences.ngrams import NgramCounts

_SIGMA = 6.0


def cider(captions: EncodedCaptions, is_clipped: bool = True) -> NDArray[np.float64]:
    """Return CIDEr of each candidate, on the published scale of 0 to 10; the corpus value is their mean.

    A set of one image scores 0 by definition, since every n-gram then occurs in every document.

    Args:
        captions: Candidates and references of the whole set.
        is_clipped: CIDEr-D, what pycocoevalcap calls CIDEr; otherwise the cosine of the first definition.
    """
    total_R = np.zeros(len(captions.item_R))
    for counts in captions.orders:
        total_R += _similarity(captions, counts, is_clipped)
    if is_clipped:
        total_R *= _length_penalty(captions)
    sums_C = np.bincount(captions.item_R, weights=total_R, minlength=captions.num_items)
    counts_C = np.bincount(captions.item_R, minlength=captions.num_items)
    return np.asarray(10.0 * sums_C / (MAX_N * np.maximum(counts_C, 1)), dtype=np.float64)


def _similarity(captions: EncodedCaptions, counts: NgramCounts, is_clipped: bool) -> NDArray[np.float64]:
    """Return the similarity of each reference to its item's candidate in n-grams of one order."""
    num_references = len(captions.item_R)
    idf_G = _inverse_frequency(captions, counts)
    weight_E = counts.count_E * idf_G[counts.gram_E]
    weight_F = counts.count_F * idf_G[counts.gram_F]
    is_match_F = counts.match_F >= 0
    shared_F, own_F = weight_F[is_match_F], weight_E[counts.match_F[is_match_F]]
    products_F = (np.minimum(own_F, shared_F) if is_clipped else own_F) * shared_F
    dots_R = np.bincount(counts.reference_F[is_match_F], weights=products_F, minlength=num_references)
    norms_C = np.sqrt(np.bincount(counts.item_E, weights=weight_E**2, minlength=captions.num_items))
    norms_R = np.sqrt(np.bincount(counts.reference_F, weights=weight_F**2, minlength=num_references))
    norms_R = norms_R * norms_C[captions.item_R]
    return np.divide(dots_R, norms_R, out=np.zeros(num_references), where=norms_R > 0)


def _inverse_frequency(captions: EncodedCaptions, counts: NgramCounts) -> NDArray[np.float64]:
    """Return the weight of each n-gram: log of items over items with the n-gram in a reference."""
    keys = np.sort(captions.item_R[counts.reference_F] * counts.num_grams + counts.gram_F)
    documents = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
    frequency_G = np.bincount(documents % counts.num_grams, minlength=counts.num_grams)
    return np.asarray(np.log(max(captions.num_items, 1)) - np.log(np.maximum(frequency_G, 1)), dtype=np.float64)


def _length_penalty(captions: EncodedCaptions) -> NDArray[np.float64]:
    # Source: cider_scorer.py counts bigrams as the length, one less than the words.
    bigrams_S = np.maximum(captions.lengths - 1, 0)
    difference_R = bigrams_S[captions.item_R] - bigrams_S[captions.num_items :]
    return np.exp(-(difference_R**2) / (2 * _SIGMA**2))
