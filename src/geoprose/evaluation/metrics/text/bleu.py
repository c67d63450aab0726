"""BLEU of a set of captions, as pycocoevalcap and as sacrebleu compute it.

Source:
    Papineni et al., ACL 2002; tylin/coco-caption bleu_scorer.py (the small constants, the reference lengths);
    sacrebleu metrics/text/bleu.py (13a tokens, no folding of case, exponential smoothing).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from geoprose.data.sentences.ngrams import MAX_N, EncodedCaptions

if TYPE_CHECKING:
    from geoprose.data.sentences.ngrams import Ints

ReferenceLength = Literal["closest", "shortest", "average"]
_TINY, _SMALL = 1e-15, 1e-9


def bleu(captions: EncodedCaptions, reference_length: ReferenceLength = "closest") -> list[float]:
    """Return corpus BLEU-1 to BLEU-4, as fractions.

    Args:
        captions: Candidates and references.
        reference_length: Which reference's length a candidate is held to for the brevity penalty.
    """
    corrects, guesses = _matches(captions)
    candidate_length = int(captions.candidate_lengths.sum())
    ratio = (candidate_length + _TINY) / (_reference_length(captions, reference_length) + _SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, scores = 1.0, []
    for order in range(MAX_N):
        product *= (corrects[order] + _TINY) / (guesses[order] + _SMALL)
        scores.append(brevity * product ** (1 / (order + 1)))
    return scores


def sacrebleu_score(captions: EncodedCaptions, is_effective_order: bool = False) -> float:
    """Return corpus BLEU-4 on sacrebleu's scale of 0 to 100: closest length, exponential smoothing of zero counts.

    Args:
        captions: Candidates and references.
        is_effective_order: Whether orders longer than the candidate are left out, as for one sentence alone.
    """
    corrects, guesses = _matches(captions)
    if not any(corrects):
        return 0.0
    logs, smoothing = [], 1.0
    for correct, guessed in zip(corrects, guesses, strict=True):
        if guessed == 0:
            if is_effective_order:
                break
            return 0.0
        if correct == 0:
            smoothing *= 2
        logs.append(math.log(100.0 * correct / guessed if correct else 100.0 / (smoothing * guessed)))
    length, reference = int(captions.candidate_lengths.sum()), _reference_length(captions, "closest")
    return math.exp(min(0.0, 1 - reference / length) + sum(logs) / len(logs))


def _matches(captions: EncodedCaptions) -> tuple[list[int], list[int]]:
    """Return, per order, the clipped n-grams found in a reference and all n-grams of the candidates."""
    corrects, guesses = [], []
    for counts in captions.orders:
        most_E = np.zeros(len(counts.count_E), dtype=np.int64)
        is_match_F = counts.match_F >= 0
        np.maximum.at(most_E, counts.match_F[is_match_F], counts.count_F[is_match_F])
        corrects.append(int(np.minimum(most_E, counts.count_E).sum()))
        guesses.append(int(counts.count_E.sum()))
    return corrects, guesses


def _reference_length(captions: EncodedCaptions, which: ReferenceLength) -> float:
    if not captions.num_items:
        return 0.0
    lengths_R, first_C = captions.reference_lengths, captions.first_references
    if which == "average":
        counts_C = np.diff(np.append(first_C, len(lengths_R)))
        return float((np.add.reduceat(lengths_R, first_C) / counts_C).sum())
    if which == "closest":
        lengths_R = _by_distance(lengths_R, captions.candidate_lengths[captions.item_R])
        return float((np.minimum.reduceat(lengths_R, first_C) % _FAR).sum())
    return float(np.minimum.reduceat(lengths_R, first_C).sum())


_FAR = 1 << 31


def _by_distance(lengths_R: Ints, candidate_R: Ints) -> Ints:
    """Number each reference so that the smallest is the closest in length, and of two as close the shorter one."""
    return np.asarray(np.abs(lengths_R - candidate_R) * _FAR + lengths_R, dtype=np.int64)
