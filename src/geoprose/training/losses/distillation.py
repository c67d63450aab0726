"""What the losses that read a teacher have in common."""

# K answer positions, D width, V tokens of the shared vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.data.collator import IGNORED_LABEL
from geoprose.training.distillation.divergences import Divergence, log_probabilities
from geoprose.training.distillation.teacher_pass import teacher_pass
from geoprose.training.distillation.vocabulary import Vocabulary, map_in_chunks
from geoprose.training.losses.base import Batch, Forward, LossContext, StageLoss

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.data.collator import Row
    from geoprose.data.mixture import Unit
    from geoprose.training.teacher import Teacher


class TeacherLoss(StageLoss):
    """A loss that reads the teacher.

    Raises:
        ConfigError: If the recipe has none.
    """

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        if context.teacher is None:
            raise ConfigError(
                f"Loss {spec.label} compares with a teacher, but the recipe has none. Name one with "
                "`teacher: {system: DIR}`, or `geoprose distill RECIPE --teacher DIR`."
            )
        self.teacher: Teacher = context.teacher

    def add_targets(self, row: Row, unit: Unit) -> None:
        """Attach what the teacher's own encoder sees, where it has one of its own."""
        self.teacher.add_pictures(row, unit)


class AnswerLoss(TeacherLoss):
    """A divergence summed over answer positions, with the cross-entropy of the answers beside it if wanted."""

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self.vocabulary = Vocabulary(context.system)

    def num_items(self, batch: Batch) -> float:
        """Return the number of answer tokens."""
        return float((batch["next_ids"] != IGNORED_LABEL).sum())

    def gold_divergence(
        self, forward: Forward, divergence: Divergence, temperature: float = 1.0, lm_weight: float = 0.0
    ) -> Tensor:
        """Return divergence and weighted cross-entropy summed over the gold answers.

        Args:
            forward: The student's pass.
            divergence: What to sum.
            temperature: Softens both distributions; the divergence is multiplied by its square, so that the size of
                the gradient stays (Hinton et al., section 2).
            lm_weight: Weight of the cross-entropy.
        """
        next_ids_BT = forward.batch["next_ids"]
        targets_K = next_ids_BT[next_ids_BT != IGNORED_LABEL]
        if targets_K.numel() == 0:
            return forward.hidden.sum() * 0.0
        states_KD = forward.hidden[next_ids_BT != IGNORED_LABEL]
        teacher_KD = teacher_pass(self.teacher, forward).states(next_ids_BT)

        def scored(states: Tensor, theirs: Tensor, targets: Tensor) -> Tensor:
            student = self.vocabulary.logits(forward.model, states)
            with torch.no_grad():
                teacher = log_probabilities(self.vocabulary.logits(self.teacher.model, theirs), temperature)
            value = temperature**2 * divergence(log_probabilities(student, temperature), teacher)
            return value + lm_weight * F.cross_entropy(student, targets, reduction="none") if lm_weight else value

        return map_in_chunks(scored, self.spec.chunk_positions, states_KD, teacher_KD, targets_K).sum()
