"""What the losses on the student's own answers have in common."""

# S slots (sampled answers), L longest answer, K sampled tokens, D width, V tokens of the shared vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ConfigError
from geoprose.data.collator import IGNORED_LABEL
from geoprose.data.mixture import generator
from geoprose.training.distillation.divergences import Divergence, log_probabilities
from geoprose.training.distillation.sampling import SamplingOptions, sample_batch
from geoprose.training.distillation.teacher_pass import teacher_pass
from geoprose.training.distillation.vocabulary import map_in_chunks
from geoprose.training.forward import Forward
from geoprose.training.losses.distillation import AnswerLoss
from geoprose.training.losses.lm import causal_lm_loss_sum

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from torch import Tensor

    from geoprose.training.losses.base import Batch, LossContext

_COIN = 12
"""Keeps the stream of coins apart from the other random numbers of a stage."""


class OnPolicyLoss(AnswerLoss):
    """A loss on answers that the student samples before each optimiser step.

    Raises:
        ConfigError: If it samples and the system cannot write packed answers.
    """

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self.key = f"sampled_{spec.label}"
        self.share = float(spec.on_policy_share)
        self.fills = self.share > 0
        self.options = self.sampling()
        if self.fills:
            check_can_write(context.system)
        if self.options.teacher_mix:
            check_can_write(self.teacher.system)

    def sampling(self) -> SamplingOptions:
        """Return how answers are sampled."""
        spec, system = self.spec, self.context.system
        keeps_gold = spec.lm_weight > 0
        return SamplingOptions(spec.max_new_tokens, spec.samples, spec.temperature, 0.0, stop_ids(system), keeps_gold)

    def fill(self, model: Any, batch: MutableMapping[str, Any]) -> None:
        """Sample answers to the questions of the batch, if the coin of its number says so."""
        coin = generator(self.context.seed, _COIN, int(batch["number"])).random()
        has_answers = bool((batch["next_ids"] != IGNORED_LABEL).any())
        if coin < self.share and has_answers:
            batch[self.key] = sample_batch(model, self.teacher, batch, self.vocabulary, self.options, self.context.seed)

    def num_items(self, batch: Batch) -> float:
        """Return the tokens of the answers that the batch trains on, sampled or gold."""
        sampled = batch.get(self.key)
        return super().num_items(batch) if sampled is None else float(sampled["is_answer"].sum())

    def sampled_forward(self, forward: Forward) -> Forward:
        """Return the student's pass over the sampled answers; made once a batch."""
        return forward.once(self.key, lambda: Forward(forward.model, forward.batch[self.key]))

    def sampled_sum(self, forward: Forward, divergence: Divergence) -> Tensor:
        """Return the divergence summed over the tokens of the sampled answers, the cross-entropy term included."""
        ours = self.sampled_forward(forward)
        place_K = ours.batch["place"][ours.batch["is_answer"]]
        theirs_KD = teacher_pass(self.teacher, ours).at(place_K)

        def scored(states: Tensor, theirs: Tensor) -> Tensor:
            student = log_probabilities(self.vocabulary.logits(forward.model, states))
            with torch.no_grad():
                teacher = log_probabilities(self.vocabulary.logits(self.teacher.model, theirs))
            return divergence(student, teacher)

        states_KD = ours.hidden.flatten(0, 1)[place_K]
        total = map_in_chunks(scored, self.spec.chunk_positions, states_KD, theirs_KD).sum()
        return total + self.lm_term(forward)

    def lm_term(self, forward: Forward) -> Tensor | float:
        """Return the weighted cross-entropy of the gold answers, scaled to the number of sampled tokens.

        The engine divides by that number, so what stays is ``lm_weight`` times the mean over the micro-batch's gold
        tokens.
        """
        if not self.spec.lm_weight:
            return 0.0
        scale = self.num_items(forward.batch) / max(1.0, super().num_items(forward.batch))
        ours = self.sampled_forward(forward)
        gold = causal_lm_loss_sum(ours.hidden, ours.batch["next_ids"], forward.model.lm_head)
        return float(self.spec.lm_weight) * scale * gold


def stop_ids(system: Any) -> tuple[int, ...]:
    """Return the tokens that end an answer: the tokenizer's and those of the generation config."""
    configured = system.model.generation_config.eos_token_id
    found = {system.processor.tokenizer.eos_token_id}
    found.update(configured if isinstance(configured, list | tuple) else [configured])
    return tuple(sorted(int(token) for token in found if token is not None))


def check_can_write(system: Any) -> None:
    """Refuse a system whose answers cannot be written packed.

    Raises:
        ConfigError: If its positions are computed by the model, or pictures do not enter as tokens of the sequence.
    """
    spec, backbone = system.spec, system.model.model
    if spec.kind != "composite" or backbone.positions.is_owner or spec.fusion.type != "scatter":
        raise ConfigError(
            f"System {spec.name} cannot write packed answers, so it cannot be distilled on its own answers yet: that "
            "needs fusion scatter and positions that the batch gives. Use kd_offline, or gkd with lmbda 0."
        )
