"""Cross-modal feature alignment: the student's inner states follow the teacher's, at pictures, words and between them.

Source:
    Our design. Brief 004 names "aligning the outputs across modalities at the feature level"; its formula is not
    legible in the text we have.
"""

# B rows, T tokens, M text positions, N pictures, V visual tokens of a picture, D width

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from geoprose.core.errors import ConfigError
from geoprose.training.distillation.alignment import (
    layer_pairs,
    masked_mean,
    relation_divergence,
    resample_grid,
    sees_pictures,
    state_distance,
)
from geoprose.training.distillation.layout import layout_of
from geoprose.training.distillation.teacher_pass import TeacherPass, teacher_pass
from geoprose.training.losses.distillation import TeacherLoss

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.losses.base import Batch, Forward, LossContext


@dataclass(frozen=True)
class Places:
    """Where text and pictures lie in a sequence.

    Attributes:
        is_text_BT: Real tokens that belong to no picture.
        is_visual_BT: Tokens of pictures.
        num_visual_tokens: Tokens of one picture.
    """

    is_text_BT: Tensor
    is_visual_BT: Tensor
    num_visual_tokens: int

    def text(self, states_BTD: Tensor) -> Tensor:
        """Return the states of the text (M, D)."""
        return states_BTD[self.is_text_BT]

    def pictures(self, states_BTD: Tensor) -> Tensor:
        """Return the states of the pictures (N, V, D)."""
        return states_BTD[self.is_visual_BT].reshape(-1, self.num_visual_tokens, states_BTD.shape[-1])


class FeatureAlignmentLoss(TeacherLoss):
    """``L_v + L_t + L_rel`` over pairs of layers; linear maps from the student's width to the teacher's learn along.

    The maps start orthogonal and are thrown away after the stage. Each term is a mean over its positions and over the
    pairs, so that hundreds of visual tokens do not drown thirty words.
    """

    needs_layers = True

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        student, teacher = context.system.model, self.teacher.model
        self._check_grids()
        configs = [model.config.get_text_config() for model in (student, teacher)]
        self.pairs = layer_pairs(configs[0].num_hidden_layers, configs[1].num_hidden_layers, spec.num_layers)
        generator = torch.Generator().manual_seed(context.seed)
        for layer, _ in self.pairs:
            weight = torch.empty(configs[1].hidden_size, configs[0].hidden_size)
            nn.init.orthogonal_(weight, generator=generator)
            self.parameters[f"map_{layer}"] = nn.Parameter(weight)

    def _check_grids(self) -> None:
        """Refuse visual tokens that cannot be brought together; 25 tokens of a compass would pass for 5 x 5."""
        if not (self.spec.visual_weight or self.spec.relation_weight):
            return
        student, teacher = self.context.system, self.teacher.system
        has_tiles = any(s.spec.packer.type != "flat" or s.spec.resolution.type != "fixed" for s in (student, teacher))
        differ = student.processor.num_visual_tokens != teacher.processor.num_visual_tokens
        has_own_layout = any(hasattr(system.model.model.connector, "token_cover") for system in (student, teacher))
        if has_tiles or (differ and has_own_layout):
            why = "a picture becomes several tiles" if has_tiles else "a connector lays them out otherwise than a grid"
            raise ConfigError(
                f"The visual tokens of {student.spec.name} and teacher {teacher.spec.name} cannot be compared place by "
                f"place: {why}. Set visual_weight and relation_weight of feature_alignment to 0."
            )

    def weight_at(self, progress: float) -> float:
        """Return the weight, which follows a half cosine from ``weight`` to ``final_weight``."""
        last = float(self.spec.final_weight)
        share = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
        return last + (self.weight - last) * share

    def num_items(self, batch: Batch) -> float:
        """Return the number of pictures, so that the means of a batch count by its pictures; 1 without any."""
        visual = int((batch["input_ids"] == self.context.system.model.config.image_token_id).sum())
        return max(1.0, visual / int(self.context.system.processor.num_visual_tokens))

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the weighted terms, times the number of items."""
        theirs = teacher_pass(self.teacher, forward)
        ours, others = _places(forward), _teacher_places(theirs)
        sees_MN = sees_pictures(
            layout_of(forward.batch).sees_BTT, ours.is_text_BT, ours.is_visual_BT, ours.num_visual_tokens
        )
        total: Tensor = forward.hidden.sum() * 0.0
        for layer, other in self.pairs:
            states = (ours.text(forward.layers[layer]), ours.pictures(forward.layers[layer]))
            teacher = (others.text(theirs.layers[other]), others.pictures(theirs.layers[other]))
            total = total + self._pair(self.parameters[f"map_{layer}"], states, teacher, sees_MN)
        return total / len(self.pairs) * self.num_items(forward.batch)

    def _pair(
        self, weight: Tensor, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], sees_MN: Tensor
    ) -> Tensor:
        """Return the terms of one pair of layers from text states (M, D) and pictures (N, V, D) of both sides."""
        weight = weight.to(student[0].device)
        text_distance = state_distance(student[0].to(weight.dtype) @ weight.T, teacher[0])
        total: Tensor = self.spec.text_weight * masked_mean(
            text_distance, torch.ones_like(text_distance, dtype=torch.bool)
        )
        if not student[1].numel() or not (self.spec.visual_weight or self.spec.relation_weight):
            return total
        num_tokens = min(student[1].shape[1], teacher[1].shape[1])
        ours, theirs = (resample_grid(side[1], num_tokens).flatten(0, 1) for side in (student, teacher))
        total = total + self.spec.visual_weight * state_distance(ours.to(weight.dtype) @ weight.T, theirs).mean()
        if self.spec.relation_weight:
            sees_MC = sees_MN.repeat_interleave(num_tokens, dim=1)
            relation = relation_divergence(
                (student[0], ours), (teacher[0], theirs), sees_MC, self.spec.relation_temperature
            )
            total = total + self.spec.relation_weight * masked_mean(relation, sees_MN.any(-1))
        return total


def _places(forward: Forward) -> Places:
    model = forward.model
    is_visual_BT = forward.batch["input_ids"] == model.config.image_token_id
    is_real_BT = layout_of(forward.batch).is_real
    return Places(is_real_BT & ~is_visual_BT, is_visual_BT, int(model.model.num_visual_tokens))


def _teacher_places(theirs: TeacherPass) -> Places:
    ids = theirs.inputs["input_ids"]
    is_visual = ids == theirs.teacher.model.config.image_token_id
    is_real = theirs.places >= 0 if theirs.is_resized else layout_of(theirs.batch).is_real
    return Places(is_real & ~is_visual, is_visual, theirs.teacher.num_visual_tokens)
