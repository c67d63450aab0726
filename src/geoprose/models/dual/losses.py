"""Contrastive losses over the logits of a batch of pairs; pair i is picture i with text i.

Gotchas: both take logits, scale and bias already applied, and compute in float32 or better; a batch of one has no
negatives, so its softmax loss is 0 whatever the weights are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax_contrastive(logits_NN: Tensor) -> Tensor:
    """Return the symmetric InfoNCE loss, ``(CE(L, diagonal) + CE(L^T, diagonal)) / 2``.

    Args:
        logits_NN: Similarity of picture i and text j, times the scale.

    Source:
        CLIP, arXiv:2103.00020, figure 3.
    """
    logits = _at_least_float32(logits_NN)
    targets = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2


def sigmoid_contrastive(logits_NN: Tensor) -> Tensor:
    """Return the pairwise sigmoid loss, ``-1/N sum_ij log sigmoid(z_ij L_ij)`` with z = 1 on the diagonal, else -1.

    Args:
        logits_NN: Similarity of picture i and text j, times the scale, plus the bias.

    Source:
        SigLIP, arXiv:2303.15343, section 3.2.
    """
    logits = _at_least_float32(logits_NN)
    signs = 2 * torch.eye(len(logits), device=logits.device, dtype=logits.dtype) - 1
    return -F.logsigmoid(signs * logits).sum() / len(logits)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


LOSSES = {"sigmoid": sigmoid_contrastive, "softmax": softmax_contrastive}
