"""How far the inner states of a student are from its teacher's: at pictures, at words, and between the two."""

# M text positions, N pictures, V visual tokens a picture, C = N V visual positions, D width

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.training.distillation.divergences import forward_kl, wide
from geoprose.training.distillation.vocabulary import CLOSED


def layer_pairs(num_student: int, num_teacher: int, num_pairs: int) -> list[tuple[int, int]]:
    """Return pairs of layers at equal depth, ``j = round(i Lt / Ls)``; 0 are the embeddings.

    Args:
        num_student: Layers ``Ls`` of the student.
        num_teacher: Layers ``Lt`` of the teacher.
        num_pairs: Pairs wanted, spread evenly from the embeddings to the last layer; one means the last layer.
    """
    if num_pairs == 1:
        return [(num_student, num_teacher)]
    chosen = dict.fromkeys(_round(index * num_student / (num_pairs - 1)) for index in range(num_pairs))
    return [(layer, _round(layer * num_teacher / num_student)) for layer in chosen]


def _round(value: float) -> int:
    """Round half up: Python's round takes the even neighbour, which would pair 1 of 2 with 2 of 5."""
    return math.floor(value + 0.5)


def state_distance(student_KD: Tensor, teacher_KD: Tensor) -> Tensor:
    """Return ``1 - cos(LN(s), LN(t))`` of each pair of states (K,), in float32 or wider.

    ``LN`` is layer normalisation without weights. Size and mean of the states play no part, since they differ from
    layer to layer and from model to model.
    """
    return 1.0 - F.cosine_similarity(_normalised(student_KD), _normalised(teacher_KD.detach()), dim=-1)


def _normalised(states: Tensor) -> Tensor:
    return F.layer_norm(wide(states), states.shape[-1:])


def relations(text_MD: Tensor, visual_CD: Tensor, sees_MC: Tensor, temperature: float) -> Tensor:
    """Return the log-probabilities (M, C) with which text states pick visual states, ``log softmax(cos / tau)``.

    Args:
        text_MD: States at text positions.
        visual_CD: States at visual positions.
        sees_MC: True where the text position may attend to the visual position; others get no mass.
        temperature: ``tau``.
    """
    cosine_MC = F.normalize(wide(text_MD), dim=-1) @ F.normalize(wide(visual_CD), dim=-1).T
    return (cosine_MC / temperature).masked_fill(~sees_MC, CLOSED).log_softmax(-1)


def relation_divergence(
    student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], sees_MC: Tensor, temperature: float
) -> Tensor:
    """Return ``KL(teacher || student)`` of the relations of each text position (M,).

    No linear map is needed: each side compares its own states, so the widths may differ.

    Args:
        student: Its text states (M, D) and visual states (C, D).
        teacher: Likewise; without gradient.
        sees_MC: Who may attend to whom.
        temperature: Sharpness.
    """
    theirs = relations(teacher[0].detach(), teacher[1].detach(), sees_MC, temperature)
    return forward_kl(relations(*student, sees_MC, temperature), theirs)


def resample_grid(states_NVD: Tensor, num_tokens: int) -> Tensor:
    """Return the states of square grids at another resolution, bilinear with antialiasing: (N, num_tokens, D).

    Raises:
        ConfigError: If either number of tokens is not a square.
    """
    num_before = states_NVD.shape[1]
    if num_before == num_tokens:
        return states_NVD
    before, after = math.isqrt(num_before), math.isqrt(num_tokens)
    if before**2 != num_before or after**2 != num_tokens:
        raise ConfigError(
            f"Visual tokens of student and teacher differ in number ({num_before} and {num_tokens}) and are not both a "
            "square grid, so feature_alignment cannot compare them. Set its visual_weight and relation_weight to 0, "
            "or take a connector with as many tokens as the teacher's."
        )
    grid = wide(states_NVD).transpose(1, 2).reshape(len(states_NVD), -1, before, before)
    resized = F.interpolate(grid, size=(after, after), mode="bilinear", align_corners=False, antialias=True)
    return resized.flatten(2).transpose(1, 2)


def sees_pictures(sees_BTT: Tensor, is_text_BT: Tensor, is_visual_BT: Tensor, num_visual_tokens: int) -> Tensor:
    """Return which text positions may attend to which pictures (M, N), over the whole batch.

    Args:
        sees_BTT: Who may attend to whom in a row.
        is_text_BT: Text positions.
        is_visual_BT: Visual positions.
        num_visual_tokens: Tokens of one picture; a picture is seen when its first token is.
    """
    text_rows, text_places = is_text_BT.nonzero(as_tuple=True)
    rows, places = (index[::num_visual_tokens] for index in is_visual_BT.nonzero(as_tuple=True))
    is_own_row = text_rows[:, None] == rows[None]
    sees_MN: Tensor = sees_BTT[text_rows[:, None], text_places[:, None], places[None]] & is_own_row
    return sees_MN


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over True places; 0 with a gradient path when there is none."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp_min(1)
