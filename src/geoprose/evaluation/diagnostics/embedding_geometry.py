"""The shape of a space of embeddings: what collapses before retrieval does.

Shapes: N pairs or items, M texts, D width, K neighbours, R resamples. Every vector has unit length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def alignment(first_ND: NDArray[np.float64], second_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distance of each positive pair (N,); its mean is the alignment loss, 0 at best, 4 at worst.

    Source:
        Wang and Isola, arXiv:2005.10242, section 4, with alpha = 2.
    """
    distances: NDArray[np.float64] = ((first_ND - second_ND) ** 2).sum(-1)
    return distances


def potentials(vectors_ND: NDArray[np.float64], t: float = 2.0) -> NDArray[np.float64]:
    """Return ``exp(-t |u - v|^2)`` of all pairs (N, N)."""
    cosine_NN = np.clip(vectors_ND @ vectors_ND.T, -1, 1)
    kernel: NDArray[np.float64] = np.exp(-2 * t * (1 - cosine_NN))
    return kernel


def uniformity(kernel_NN: NDArray[np.float64], weights_RN: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return the logarithm of the mean potential of pairs of different items: 0 when all is one point, less is better.

    Args:
        kernel_NN: What ``potentials`` gives.
        weights_RN: How often each item is drawn in each resample; every item once when None. Copies of an item are no
            pair.

    Returns:
        One figure per resample (R,); NaN where one item alone is drawn.

    Source:
        Wang and Isola, arXiv:2005.10242, section 4, with t = 2. Many directions of a sphere of 512 dimensions reach
        about -3.9.
    """
    weights_RN = np.ones((1, len(kernel_NN))) if weights_RN is None else weights_RN
    squares_RN = weights_RN**2
    total_R = ((weights_RN @ kernel_NN) * weights_RN).sum(1) - squares_RN @ np.diag(kernel_NN)
    pairs_R = weights_RN.sum(1) ** 2 - squares_RN.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values: NDArray[np.float64] = np.where(pairs_R > 0, np.log(np.maximum(total_R, 1e-300) / pairs_R), np.nan)
    return values


def occurrences(queries_ND: NDArray[np.float64], corpus_MD: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Return how many queries have each item of the corpus among their ``k`` nearest (M,); equal ones in order."""
    order_NM = np.argsort(-(queries_ND @ corpus_MD.T), axis=1, kind="stable")[:, :k]
    return np.bincount(order_NM.ravel(), minlength=len(corpus_MD))


def skewness(values: NDArray[np.int64] | NDArray[np.float64]) -> float:
    """Return the third standardised moment; 0 where all values are equal. Hubs make it large and positive.

    Source:
        Radovanovic, Nanopoulos and Ivanovic, Hubs in Space, JMLR 11 (2010), eq. 1.
    """
    values = np.asarray(values, dtype=np.float64)
    spread = values.std()
    return 0.0 if spread == 0 else float((((values - values.mean()) / spread) ** 3).mean())


def effective_rank(vectors_ND: NDArray[np.float64], is_centred: bool = True) -> float:
    """Return the exponential of the entropy of the normalised singular values: how many directions are in use.

    Args:
        vectors_ND: Embeddings.
        is_centred: Subtract the mean first: what the embeddings have in common is no direction that tells them apart.

    Source:
        Roy and Vetterli, The Effective Rank, EUSIPCO 2007, definition 1.
    """
    matrix = vectors_ND - vectors_ND.mean(0) if is_centred else vectors_ND
    singular = np.linalg.svd(matrix, compute_uv=False)
    total = singular.sum()
    if total <= 1e-12:
        return 1.0
    shares = singular[singular > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def modality_gap(first_ND: NDArray[np.float64], second_MD: NDArray[np.float64]) -> float:
    """Return the distance between the mean embeddings of two modalities.

    Source:
        Liang et al., Mind the Gap, arXiv:2203.02053, section 4.2.
    """
    return float(np.linalg.norm(first_ND.mean(0) - second_MD.mean(0)))
