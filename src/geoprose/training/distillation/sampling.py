"""Answers sampled from the student, or from a mixture of student and teacher, and the batch that scores them."""

# B rows, P tokens of the prompts, S slots, L longest answer, A slots that still write, V tokens of the vocabulary

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geoprose.data.collator import IGNORED_LABEL
from geoprose.data.mixture import generator
from geoprose.training.distillation.decoder import PackedDecoder
from geoprose.training.distillation.layout import Layout
from geoprose.training.distillation.prompts import Prompts, prompts_of
from geoprose.training.distillation.teacher_pass import TeacherPass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.training.distillation.vocabulary import Vocabulary
    from geoprose.training.forward import Batch
    from geoprose.training.teacher import Teacher

_SAMPLING = 11
"""Keeps the stream of random numbers apart from those of the mixture."""


@dataclass(frozen=True)
class SamplingOptions:
    """How answers are sampled.

    Attributes:
        max_new_tokens: Longest answer.
        samples: Answers of each question.
        temperature: Softens the distribution.
        teacher_mix: Share of the teacher in the distribution.
        stop_ids: Tokens that end an answer.
        keeps_gold: The gold answers stay in the batch that scores, so that one pass serves both.
    """

    max_new_tokens: int
    samples: int
    temperature: float
    teacher_mix: float
    stop_ids: tuple[int, ...]
    keeps_gold: bool = False


@dataclass(frozen=True)
class Answers:
    """What was written.

    Attributes:
        tokens_SL: Tokens, the end token included; 0 behind the end.
        is_real_SL: False behind the end.
        log_q_SL: The student's log-probability of each token when it was sampled.
        log_p_SL: The teacher's; zeros when it took no part.
    """

    tokens_SL: Tensor
    is_real_SL: Tensor
    log_q_SL: Tensor
    log_p_SL: Tensor


def random_of(seed: int, number: int) -> torch.Generator:
    """Return the randomness of a micro-batch: a pure function of the stage's seed and the batch's number."""
    return torch.Generator().manual_seed(int(generator(seed, _SAMPLING, number).integers(2**62)))


@torch.no_grad()
def write_answers(
    decoders: Sequence[PackedDecoder], vocabulary: Vocabulary, options: SamplingOptions, random: torch.Generator
) -> Answers:
    """Sample token by token until every answer has ended.

    Each token is drawn from ``(1 - a) q + a p`` (both softened by the temperature), with ``a`` the teacher's share.
    Answers that have ended cost nothing more.

    Args:
        decoders: The student, and the teacher where it takes part.
        vocabulary: What may be said.
        options: How.
        random: All randomness.
    """
    student = decoders[0]
    num_slots, device = student.prompts.num_slots, student.states_SD.device
    size = (num_slots, options.max_new_tokens)
    tokens_SL = torch.zeros(size, dtype=torch.long, device=device)
    is_real_SL = torch.zeros(size, dtype=torch.bool, device=device)
    log_q_SL, log_p_SL = torch.zeros(size, device=device), torch.zeros(size, device=device)
    stop = torch.tensor(options.stop_ids, device=device)
    active_A = torch.arange(num_slots, device=device)
    states = [decoder.states_SD for decoder in decoders]
    for step in range(options.max_new_tokens):
        if not len(active_A):
            break
        logits = [vocabulary.logits(d.model, s) for d, s in zip(decoders, states, strict=True)]
        chosen_A = _draw(logits, options, random)
        tokens_SL[active_A, step], is_real_SL[active_A, step] = chosen_A, True
        logs = [_log_prob(side, chosen_A).to(log_q_SL.dtype) for side in logits]
        log_q_SL[active_A, step] = logs[0]
        log_p_SL[active_A, step] = logs[-1] if len(logs) > 1 else 0.0
        goes_on_A = ~torch.isin(chosen_A, stop)
        active_A, chosen_A = active_A[goes_on_A], chosen_A[goes_on_A]
        if len(active_A) and step + 1 < options.max_new_tokens:
            states = [decoder.step(active_A, chosen_A) for decoder in decoders]
    longest = max(1, int(is_real_SL.sum(-1).max())) if num_slots else 1
    return Answers(*(part[:, :longest] for part in (tokens_SL, is_real_SL, log_q_SL, log_p_SL)))


def _draw(logits: Sequence[Tensor], options: SamplingOptions, random: torch.Generator) -> Tensor:
    shares = [(side / options.temperature).softmax(-1) for side in logits]
    mixed_AV = shares[0] if len(shares) == 1 else torch.lerp(shares[0], shares[1], options.teacher_mix)
    # Why on the processor: one generator gives the same answers whatever the device.
    return torch.multinomial(mixed_AV.cpu(), 1, generator=random)[:, 0].to(mixed_AV.device)


def _log_prob(logits_AV: Tensor, tokens_A: Tensor) -> Tensor:
    return logits_AV.log_softmax(-1).gather(-1, tokens_A[:, None])[:, 0]


def scoring_batch(prompts: Prompts, answers: Answers, next_ids_BT: Tensor | None = None) -> dict[str, Any]:
    """Return the batch in which one pass scores every token of every answer.

    The answers stand behind the prompts of their rows, each without its last token, from which nothing follows. Answers
    to one question share the prompt's last token, so the score of a token is looked up by place, not by label.

    Args:
        prompts: Where the answers begin.
        answers: What was written.
        next_ids_BT: Labels of the prompts' rows, where these hold the gold answers: the same pass then scores them.

    Returns:
        What a model reads, ``next_ids`` (B, T), and by slot: ``answers`` (S, L), ``is_answer`` (S, L), ``place`` (S, L)
        of the state that predicts the token in the flattened batch, ``group`` (S,), ``log_q`` and ``log_p`` (S, L) at
        the sampling.
    """
    layout, device = prompts.layout, prompts.row_S.device
    num_rows, num_prompt = layout.ids_BT.shape
    read_SL = answers.is_real_SL & answers.is_real_SL.roll(-1, dims=1)
    read_SL[:, -1] = False
    slots_R, steps_R = read_SL.nonzero(as_tuple=True)
    row_R = prompts.row_S[slots_R]
    column_R = torch.arange(len(row_R), device=device) - torch.searchsorted(row_R, row_R)
    num_new = int(column_R.max()) + 1 if len(row_R) else 0
    total = num_prompt + num_new
    ids_BT = torch.zeros(num_rows, total, dtype=torch.long, device=device)
    ids_BT[:, :num_prompt] = layout.ids_BT
    ids_BT[row_R, num_prompt + column_R] = answers.tokens_SL[slots_R, steps_R]
    sees = torch.eye(total, dtype=torch.bool, device=device).repeat(num_rows, 1, 1)
    sees[:, :num_prompt, :num_prompt] = layout.sees_BTT
    owner_BN = torch.full((num_rows, num_new), -1, dtype=torch.long, device=device)
    owner_BN[row_R, column_R] = slots_R
    causal_NN = torch.ones(num_new, num_new, dtype=torch.bool, device=device).tril()
    is_own = (owner_BN[:, :, None] == owner_BN[:, None, :]) & (owner_BN >= 0)[:, :, None] & causal_NN
    sees[:, num_prompt:, num_prompt:] |= is_own
    sees[row_R, num_prompt + column_R, :num_prompt] = prompts.sees_SP[slots_R]
    labels_BT = torch.full_like(ids_BT, IGNORED_LABEL)
    if next_ids_BT is not None:
        labels_BT[:, :num_prompt] = next_ids_BT
    place_SL = torch.zeros_like(answers.tokens_SL)
    place_SL[:, 0] = prompts.last_S
    place_SL[slots_R, steps_R + 1] = num_prompt + column_R
    return {
        **prompts.rest,
        **Layout(ids_BT, sees).inputs(),
        "next_ids": labels_BT,
        "answers": answers.tokens_SL,
        "is_answer": answers.is_real_SL,
        "place": place_SL + prompts.row_S[:, None] * total,
        "group": prompts.group_S,
        "log_q": answers.log_q_SL,
        "log_p": answers.log_p_SL,
    }


@torch.no_grad()
def sample_batch(
    model: Any, teacher: Teacher, batch: Batch, vocabulary: Vocabulary, options: SamplingOptions, seed: int
) -> dict[str, Any]:
    """Let the student answer the questions of a batch and return the batch that scores the answers.

    Args:
        model: The student; it samples in evaluation mode.
        teacher: Takes part where ``options.teacher_mix`` is positive.
        batch: Tensors of the collator, with its number.
        vocabulary: What may be said.
        options: How answers are sampled.
        seed: Seed of the stage.
    """
    image_token_id = int(model.config.image_token_id)
    prompts = prompts_of(batch, image_token_id, options.samples)
    was_training = model.training
    model.eval()
    try:
        decoders = [PackedDecoder(model, prompts)]
        if options.teacher_mix:
            asked = TeacherPass(teacher, prompts.inputs(), image_token_id, int(model.model.num_visual_tokens))
            decoders.append(PackedDecoder(teacher.model, asked.prompts(prompts)))
        answers = write_answers(decoders, vocabulary, options, random_of(seed, int(batch["number"])))
    finally:
        model.train(was_training)
    if options.keeps_gold:
        return scoring_batch(prompts.with_gold(batch), answers, batch["next_ids"])
    return scoring_batch(prompts, answers)
