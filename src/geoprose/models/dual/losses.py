"""Contrastive losses over the logits of a batch of pairs; pair i is picture i with text i.

Shapes: N pairs whose loss is wanted, M pairs they are compared with (those of all processes), so N <= M.

Gotchas: all take logits, scale and bias already applied, and compute in float32 or better; a batch of one has no
negatives, so its softmax loss is 0 whatever the weights are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax_contrastive_sum(
    logits_NM: Tensor, is_positive_NM: Tensor, is_ignored_NM: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return ``-sum_i sum_j t_ij log softmax_j(L_i)`` with ``t_i = (1 - s) p_i / |p_i| + s / K_i``.

    One positive and no smoothing give cross-entropy; several share the target evenly (supervised contrast).

    Args:
        logits_NM: Similarity of row i and candidate j, times the scale.
        is_positive_NM: ``p``: which candidates belong to the row; at least one each.
        is_ignored_NM: True for candidates that are neither positive nor negative: they leave the softmax.
        smoothing: ``s``: share of the target spread evenly over the ``K_i`` candidates that are left.

    Source:
        CLIP, arXiv:2103.00020, figure 3; several positives: UniCL, arXiv:2204.03610, equation 3.
    """
    logits_NM = _at_least_float32(logits_NM)
    if is_ignored_NM is None:
        is_ignored_NM = torch.zeros_like(is_positive_NM)
    log_p_NM = logits_NM.masked_fill(is_ignored_NM, -torch.inf).log_softmax(-1).masked_fill(is_ignored_NM, 0.0)
    positive_NM, kept_NM = (mask.to(logits_NM.dtype) for mask in (is_positive_NM, ~is_ignored_NM))
    target_NM = (1 - smoothing) * positive_NM / positive_NM.sum(-1, keepdim=True)
    target_NM = target_NM + smoothing * kept_NM / kept_NM.sum(-1, keepdim=True)
    return -(target_NM * log_p_NM).sum()


def sigmoid_contrastive_sum(logits_NM: Tensor, is_positive_NM: Tensor, is_ignored_NM: Tensor | None = None) -> Tensor:
    """Return ``-sum_ij log sigmoid(z_ij L_ij)`` with z = 1 for positives, else -1.

    Args:
        logits_NM: Similarity of picture i and text j, times the scale, plus the bias.
        is_positive_NM: Which texts belong to which pictures.
        is_ignored_NM: True for pairs that do not count.

    Source:
        SigLIP, arXiv:2303.15343, section 3.2.
    """
    logits_NM = _at_least_float32(logits_NM)
    signs_NM = 2 * is_positive_NM.to(logits_NM.dtype) - 1
    losses_NM = -F.logsigmoid(signs_NM * logits_NM)
    return losses_NM.sum() if is_ignored_NM is None else losses_NM.masked_fill(is_ignored_NM, 0.0).sum()


def softmax_contrastive(logits_NN: Tensor) -> Tensor:
    """Return the symmetric InfoNCE loss, ``(CE(L, diagonal) + CE(L^T, diagonal)) / 2``.

    Args:
        logits_NN: Similarity of picture i and text j, times the scale.

    Source:
        CLIP, arXiv:2103.00020, figure 3.
    """
    is_pair = _diagonal(logits_NN)
    total = softmax_contrastive_sum(logits_NN, is_pair) + softmax_contrastive_sum(logits_NN.T, is_pair)
    return total / 2 / len(logits_NN)


def sigmoid_contrastive(logits_NN: Tensor) -> Tensor:
    """Return the pairwise sigmoid loss over N, pairs of the diagonal against all others.

    Args:
        logits_NN: Similarity of picture i and text j, times the scale, plus the bias.

    Source:
        SigLIP, arXiv:2303.15343, section 3.2.
    """
    return sigmoid_contrastive_sum(logits_NN, _diagonal(logits_NN)) / len(logits_NN)


def _diagonal(logits_NN: Tensor) -> Tensor:
    return torch.eye(len(logits_NN), dtype=torch.bool, device=logits_NN.device)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


LOSSES = {"sigmoid": sigmoid_contrastive, "softmax": softmax_contrastive}
