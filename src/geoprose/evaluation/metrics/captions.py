"""BLEU-1..4, ROUGE-L and CIDEr with the definitions of pycocoevalcap, in pure Python.

Each function takes tokenised candidates and, per candidate, tokenised references. Values are fractions (BLEU, ROUGE-L)
and the published 0..10 scale (CIDEr).

Source:
    tylin/coco-caption (pycocoevalcap): bleu_scorer.py ("closest" reference length), rouge.py (beta 1.2, maximum of
    precision and of recall over the references), cider_scorer.py (n = 4, sigma = 6: the CIDEr-D formula under the name
    CIDEr, document frequencies from the references of the evaluated set).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.tokens import tokenise_caption

Tokens = Sequence[str]
Ngrams = Counter[tuple[str, ...]]
MAX_N = 4
_TINY, _SMALL = 1e-15, 1e-9
_BETA = 1.2
_SIGMA = 6.0


def ngrams(tokens: Tokens, n: int) -> Ngrams:
    """Count the ``n``-grams of ``tokens``."""
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def bleu(candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> list[float]:
    """Return corpus BLEU-1 to BLEU-4 with the closest reference length per candidate."""
    guesses, corrects = [0] * MAX_N, [0] * MAX_N
    candidate_length = reference_length = 0
    for candidate, own in zip(candidates, references, strict=True):
        candidate_length += len(candidate)
        reference_length += min((abs(len(r) - len(candidate)), len(r)) for r in own)[1]
        for k in range(MAX_N):
            most: Ngrams = Counter()
            for reference in own:
                most |= ngrams(reference, k + 1)
            guesses[k] += max(0, len(candidate) - k)
            corrects[k] += sum((ngrams(candidate, k + 1) & most).values())
    ratio = (candidate_length + _TINY) / (reference_length + _SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product, scores = 1.0, []
    for k in range(MAX_N):
        product *= (corrects[k] + _TINY) / (guesses[k] + _SMALL)
        scores.append(brevity * product ** (1 / (k + 1)))
    return scores


def longest_common_subsequence(first: Tokens, second: Tokens) -> int:
    """Return the length of the longest common subsequence."""
    previous = [0] * (len(second) + 1)
    for token in first:
        current = [0]
        for j, other in enumerate(second):
            current.append(previous[j] + 1 if token == other else max(previous[j + 1], current[j]))
        previous = current
    return previous[-1]


def rouge_l(candidate: Tokens, references: Sequence[Tokens]) -> float:
    """Return ROUGE-L of one candidate: F-measure of the best precision and the best recall, beta 1.2."""
    if not candidate:
        return 0.0
    lengths = [longest_common_subsequence(reference, candidate) for reference in references]
    precision = max(length / len(candidate) for length in lengths)
    recall = max(length / max(len(ref), 1) for length, ref in zip(lengths, references, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def cider(candidates: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> list[float]:
    """Return CIDEr of each candidate; the corpus value is their mean.

    A set of one image scores 0 by definition, since every n-gram then occurs in every document.
    """
    counted = [[_all_ngrams(reference) for reference in own] for own in references]
    frequency: Ngrams = Counter(gram for own in counted for gram in set().union(*own))
    log_documents = math.log(max(len(references), 1))
    scores = []
    for candidate, own in zip(candidates, counted, strict=True):
        weights = _weigh(_all_ngrams(candidate), frequency, log_documents)
        total = sum(_similarity(weights, _weigh(counts, frequency, log_documents)) for counts in own)
        scores.append(10.0 * total / len(own))
    return scores


class CaptionMetrics:
    """CIDEr as the score; BLEU-1..4 and ROUGE-L beside it."""

    name = "CIDEr"
    is_accuracy = False
    is_itemwise = False

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items together: CIDEr needs the document frequencies of the whole set."""
        candidates = [tokenise_caption(item.prediction) for item in items]
        references = [[tokenise_caption(text) for text in item.references] for item in items]
        judgements = tuple(
            Judgement(score, bool(tokens), " ".join(tokens), {"rouge_l": rouge_l(tokens, own)})
            for score, tokens, own in zip(cider(candidates, references), candidates, references, strict=True)
        )
        corpus = {f"bleu_{k + 1}": value for k, value in enumerate(bleu(candidates, references))} if items else {}
        return Judged(judgements, corpus)


Weights = tuple[list[dict[tuple[str, ...], float]], list[float], int]


def _all_ngrams(tokens: Tokens) -> Ngrams:
    total: Ngrams = Counter()
    for n in range(1, MAX_N + 1):
        total.update(ngrams(tokens, n))
    return total


def _weigh(counts: Ngrams, frequency: Ngrams, log_documents: float) -> Weights:
    vectors: list[dict[tuple[str, ...], float]] = [{} for _ in range(MAX_N)]
    squares, length = [0.0] * MAX_N, 0
    for gram, count in counts.items():
        order = len(gram) - 1
        weight = count * (log_documents - math.log(max(1.0, frequency[gram])))
        vectors[order][gram] = weight
        squares[order] += weight**2
        length += count if order == 1 else 0  # Source: cider_scorer.py counts bigrams as the length
    return vectors, [math.sqrt(s) for s in squares], length


def _similarity(candidate: Weights, reference: Weights) -> float:
    penalty = math.exp(-((candidate[2] - reference[2]) ** 2) / (2 * _SIGMA**2))
    total = 0.0
    for order in range(MAX_N):
        own, other = candidate[0][order], reference[0][order]
        value = sum(min(weight, other[gram]) * other[gram] for gram, weight in own.items() if gram in other)
        norm = candidate[1][order] * reference[1][order]
        total += value / norm * penalty if norm else 0.0
    return total / MAX_N
