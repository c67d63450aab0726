"""Log-probabilities of whole answers, with logits only where an answer is."""

# B rows, T tokens, D width of the language model, A answers, K answer tokens, V vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch.nn import functional as F

from geoprose.training.preference.answers import NO_ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from geoprose.training.forward import Forward


class AnswerLogProbs(NamedTuple):
    """What a model says about the answers of a batch.

    Attributes:
        sums_A: Sum over the tokens of ``log p(token | prompt, tokens before)``.
        lengths_A: Tokens of each answer, its end of turn included.
    """

    sums_A: Tensor
    lengths_A: Tensor


def answer_log_probs(
    hidden_BTD: Tensor, next_ids_BT: Tensor, answer_of_BT: Tensor, num_answers: int, lm_head: Callable[[Tensor], Tensor]
) -> AnswerLogProbs:
    """Return log-probability and length of every answer, computed in float32 or wider.

    Args:
        hidden_BTD: Last hidden states of the backbone.
        next_ids_BT: Token that follows each position.
        answer_of_BT: The answer that token belongs to, -1 for none; several answers may lie in one row.
        num_answers: A.
        lm_head: States (K, D) to logits (K, V).
    """
    is_answer_BT = answer_of_BT != NO_ANSWER
    answer_of_K = answer_of_BT[is_answer_BT]
    logits_KV = lm_head(hidden_BTD[is_answer_BT])
    wide_KV = logits_KV if logits_KV.dtype.itemsize == 8 else logits_KV.float()
    losses_K = F.cross_entropy(wide_KV, next_ids_BT[is_answer_BT], reduction="none")
    sums_A = losses_K.new_zeros(num_answers).index_add(0, answer_of_K, -losses_K)
    lengths_A = losses_K.new_zeros(num_answers).index_add(0, answer_of_K, losses_K.new_ones(len(answer_of_K)))
    return AnswerLogProbs(sums_A, lengths_A)


def policy_log_probs(forward: Forward) -> AnswerLogProbs:
    """Return what the model of a pass says about the answers of its batch."""
    batch = forward.batch
    return answer_log_probs(
        forward.hidden, batch["next_ids"], batch["answer_of"], len(batch["answer_keys"]), forward.model.lm_head
    )
