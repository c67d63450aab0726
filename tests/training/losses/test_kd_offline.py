"""Distillation on gold answers: against logits computed the long way, and on what must not change it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.training.forward import Forward, model_inputs
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.gkd import GkdLoss
from geoprose.training.losses.kd_offline import KdOfflineLoss
from geoprose.training.specs.loss_distillation import GkdLossSpec, KdOfflineLossSpec
from geoprose.training.teacher import TEACHER_FEATURES, Teacher
from tests.fixtures.distillation import SMALL_PICTURE, batch_of, rows_about_pictures, tiny_system, tiny_teacher

WORDS = 262


def _loss(student: Any, teacher: Teacher, **changes: Any) -> KdOfflineLoss:
    return KdOfflineLoss(KdOfflineLossSpec(**changes), LossContext(student, teacher=teacher))


def _logits(system: Any, batch: dict[str, Any]) -> torch.Tensor:
    hidden = system.model.model(**model_inputs(system.model, batch), use_cache=False).last_hidden_state
    logits = system.model.lm_head(hidden[batch["next_ids"] != -100])[:, :WORDS]
    logits[:, system.model.config.image_token_id] = -1e9
    return logits


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_sum_is_the_one_of_full_logits(student: Any, teacher: Teacher, temperature: float) -> None:
    batch = batch_of(rows_about_pictures(student))
    loss = _loss(student, teacher, temperature=temperature, lm_weight=0.3)
    value = loss.loss_sum(Forward(student.model, batch))
    ours, theirs = (_logits(system, batch) for system in (student, teacher.system))
    kl = F.kl_div(
        (ours / temperature).log_softmax(-1), (theirs / temperature).log_softmax(-1), log_target=True, reduction="sum"
    )
    answers = batch["next_ids"][batch["next_ids"] != -100]
    expected = temperature**2 * kl + 0.3 * F.cross_entropy(ours, answers, reduction="sum")
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    assert loss.num_items(batch) == len(answers) == 15


def test_packing_joining_and_chunks_change_nothing(student: Any, teacher: Teacher) -> None:
    def gradient(batch: dict[str, Any], **changes: Any) -> tuple[float, torch.Tensor]:
        student.model.zero_grad()
        value = _loss(student, teacher, **changes).loss_sum(Forward(student.model, batch))
        value.backward()
        return float(value.detach()), student.model.lm_head.weight.grad.clone()

    packed = rows_about_pictures(student)
    value, wanted = gradient(batch_of(packed))
    others = [
        gradient(batch_of(packed), chunk_positions=4),
        gradient(batch_of(packed, join_rows=True)),
        gradient(batch_of(rows_about_pictures(student, packed=False))),
    ]
    for other, found in others:
        # RMSNorm and RoPE of transformers compute in float32 inside a float64 model.
        assert other == pytest.approx(value, rel=1e-5)
        assert float((found - wanted).abs().max()) < 1e-5 * float(wanted.abs().max())


def test_the_teacher_gets_no_gradient_and_runs_once_for_all_losses(
    student: Any, teacher: Teacher, monkeypatch: Any
) -> None:
    calls = []
    run = teacher.model.model.forward
    monkeypatch.setattr(teacher.model.model, "forward", lambda **inputs: calls.append(1) or run(**inputs))
    forward = Forward(student.model, batch_of(rows_about_pictures(student)))
    first = _loss(student, teacher).loss_sum(forward)
    second = GkdLoss(GkdLossSpec(), LossContext(student, teacher=teacher)).loss_sum(forward)
    (first + second).backward()
    assert calls == [1]
    assert all(parameter.grad is None for parameter in teacher.model.parameters())


def test_equal_models_give_zero_and_no_gradient(student: Any) -> None:
    twin = Teacher(tiny_system())
    context = LossContext(student, teacher=twin)
    for loss in (
        _loss(student, twin),
        _loss(student, twin, divergence="reverse_kl"),
        GkdLoss(GkdLossSpec(beta=0.3), context),
    ):
        student.model.zero_grad()
        value = loss.loss_sum(Forward(student.model, batch_of(rows_about_pictures(student))))
        value.backward()
        assert abs(float(value.detach())) < 1e-9
        assert max(float(p.grad.abs().max()) for p in student.model.parameters() if p.grad is not None) < 1e-9


def test_a_batch_without_answers_is_zero(student: Any, teacher: Teacher) -> None:
    batch = batch_of(rows_about_pictures(student, (1,)))
    batch["next_ids"] = torch.full_like(batch["next_ids"], -100)
    value = _loss(student, teacher).loss_sum(Forward(student.model, batch))
    value.backward()
    assert float(value.detach()) == 0.0


@pytest.mark.parametrize("join_rows", [False, True])
def test_a_teacher_with_fewer_visual_tokens_and_its_own_eyes(student: Any, join_rows: bool) -> None:
    """What the teacher says is what it says about a batch that was made for itself."""
    teacher = tiny_teacher(5, **SMALL_PICTURE)
    assert teacher.num_visual_tokens == 4 < student.processor.num_visual_tokens == 16
    own = batch_of(rows_about_pictures(teacher.system), join_rows)
    batch = batch_of(rows_about_pictures(student), join_rows)
    batch[TEACHER_FEATURES] = own["vision_features"]
    value = _loss(student, teacher).loss_sum(Forward(student.model, batch))
    ours, theirs = _logits(student, batch), _logits(teacher.system, own)
    expected = F.kl_div(ours.log_softmax(-1), theirs.log_softmax(-1), log_target=True, reduction="sum")
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)


def test_a_loss_without_its_teacher_is_refused(student: Any) -> None:
    with pytest.raises(ConfigError, match="the recipe has none"):
        KdOfflineLoss(KdOfflineLossSpec(), LossContext(student))
