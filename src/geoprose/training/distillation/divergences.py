"""How far two next-token distributions are apart, position by position.

All functions take log-probabilities ``(..., V)`` of the student ``q`` and of the teacher ``p`` in float32 or wider and
return one value a position ``(...)``, in nats. The teacher's side carries no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Divergence = Callable[[Tensor, Tensor], Tensor]
"""Log-probabilities of student and teacher ``(..., V)`` to one value a position."""

_TINY = 1e-12


def wide(tensor: Tensor) -> Tensor:
    """Return the tensor in float32, or as it is in float64."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def log_probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return ``log softmax(z / temperature)`` over the last axis, in float32 or wider."""
    return (wide(logits) / temperature).log_softmax(-1)


def forward_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Return ``KL(p || q) = sum_v p_v (log p_v - log q_v)``: the student must cover whatever the teacher says.

    Source:
        Hinton et al., arXiv:1503.02531.
    """
    fixed = teacher.detach()
    return (fixed.exp() * (fixed - student)).sum(-1)


def reverse_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Return ``KL(q || p) = sum_v q_v (log q_v - log p_v)``: the student says nothing the teacher would not.

    Its gradient with respect to the logits is ``q_v (log q_v - log p_v - KL)``.

    Source:
        Gu et al., MiniLLM, arXiv:2306.08543.
    """
    return (student.exp() * (student - teacher.detach())).sum(-1)


def jensen_shannon(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """Return the generalised Jensen-Shannon divergence between teacher and student.

    ``beta KL(p || m) + (1 - beta) KL(q || m)`` with ``m = beta p + (1 - beta) q``. Both ends are empty by that formula;
    divided by ``beta`` it tends to forward KL as beta goes to 0, divided by ``1 - beta`` to reverse KL as beta goes to
    1. By convention ``beta = 0`` is forward KL and ``beta = 1`` is reverse KL here.

    Source:
        Agarwal et al., GKD, arXiv:2306.13649, eq. 1 and section 3.
    """
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta is {beta}; it must lie between 0 (forward KL) and 1 (reverse KL).")
    if beta == 0.0:
        return forward_kl(student, teacher)
    if beta == 1.0:
        return reverse_kl(student, teacher)
    fixed = teacher.detach()
    middle = torch.logaddexp(fixed + math.log(beta), student + math.log1p(-beta))
    from_teacher = (fixed.exp() * (fixed - middle)).sum(-1)
    from_student = (student.exp() * (student - middle)).sum(-1)
    return beta * from_teacher + (1.0 - beta) * from_student


def top_k_forward_kl(student: Tensor, top_tokens: Tensor, top_log_probs: Tensor, log_tail: Tensor) -> Tensor:
    """Return forward KL over k kept tokens and one bucket for all others.

    ``sum_(v kept) p_v (log p_v - log q_v) + p_tail (log p_tail - log q_tail)``, with ``q_tail = 1 - sum_(v kept) q_v``.
    Putting tokens into a bucket can only lose distance, so this is at most the full divergence; it equals it when all
    of the vocabulary is kept.

    Args:
        student: Log-probabilities (K, V).
        top_tokens: Kept tokens of each position (K, k).
        top_log_probs: The teacher's log-probabilities of them (K, k).
        log_tail: Log of the mass that the kept tokens leave (K,); ``-inf`` when they leave none.
    """
    kept = student.gather(-1, top_tokens)
    inside = (top_log_probs.exp() * (top_log_probs - kept)).sum(-1)
    if top_tokens.shape[-1] == student.shape[-1]:
        return inside
    # Why not 1 - sum(exp(kept)): it cancels when the student is sure; the mass of the others is summed itself.
    log_rest = student.scatter(-1, top_tokens, -torch.inf).logsumexp(-1)
    tail = log_tail.exp()
    return inside + torch.where(tail > _TINY, tail * (log_tail.clamp_min(math.log(_TINY)) - log_rest), 0.0 * log_rest)
