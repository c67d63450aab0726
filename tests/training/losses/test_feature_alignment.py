"""Feature alignment inside the engine's rows: packing, other widths, other visual tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.feature_alignment import FeatureAlignmentLoss
from geoprose.training.specs.loss_distillation import FeatureAlignmentLossSpec
from geoprose.training.teacher import TEACHER_FEATURES, Teacher
from tests.fixtures.distillation import SMALL_PICTURE, batch_of, rows_about_pictures, tiny_system, tiny_teacher


@pytest.fixture(scope="module")
def student() -> Any:
    return tiny_system()


def _loss(student: Any, teacher: Teacher, **changes: Any) -> FeatureAlignmentLoss:
    loss = FeatureAlignmentLoss(FeatureAlignmentLossSpec(**changes), LossContext(student, teacher=teacher))
    for parameter in loss.parameters.values():
        parameter.data = parameter.data.double()
    return loss


def _value(loss: FeatureAlignmentLoss, student: Any, batch: dict[str, Any]) -> float:
    return float(loss.loss_sum(Forward(student.model, batch, needs_layers=True)).detach()) / loss.num_items(batch)


def test_equal_models_are_aligned_once_the_maps_are_the_identity(student: Any) -> None:
    loss = _loss(student, Teacher(tiny_system()))
    batch = batch_of(rows_about_pictures(student))
    assert _value(loss, student, batch) > 0.1  # an orthogonal map is not the identity
    for parameter in loss.parameters.values():
        parameter.data = torch.eye(32, dtype=torch.float64)
    assert _value(loss, student, batch) == pytest.approx(0.0, abs=1e-6)


def test_the_maps_are_orthogonal_and_follow_the_seed(student: Any) -> None:
    loss = _loss(student, tiny_teacher(width=48))
    assert set(loss.parameters) == {"map_0", "map_1", "map_2"}
    for parameter in loss.parameters.values():
        assert parameter.shape == (48, 32)
        gram = parameter.T @ parameter
        torch.testing.assert_close(gram, torch.eye(32, dtype=torch.float64), atol=1e-5, rtol=0)
    again = _loss(student, tiny_teacher(width=48))
    assert torch.equal(loss.parameters["map_1"], again.parameters["map_1"])


def test_rows_can_be_packed_or_joined(student: Any) -> None:
    """Questions packed behind one picture give the same terms as rows of one picture each would."""
    loss = _loss(student, tiny_teacher(layers=3, width=48))
    rows = rows_about_pictures(student)
    padded = _value(loss, student, batch_of(rows))
    assert _value(loss, student, batch_of(rows, join_rows=True)) == pytest.approx(padded, rel=1e-5)


def test_a_leak_between_branches_would_be_seen(student: Any) -> None:
    """Negative control: with every token of the row visible the relational term is another one."""
    loss = _loss(student, tiny_teacher(layers=3, width=48), visual_weight=0, text_weight=0)
    batch = batch_of(rows_about_pictures(student, (1, 1)), join_rows=True)
    right = _value(loss, student, batch)
    size = batch["input_ids"].shape[1]
    leaky = {**batch, "attention_mask": torch.ones(1, 1, size, size, dtype=torch.bool).tril()}
    assert abs(_value(loss, student, leaky) - right) > 1e-4


def test_gradients_reach_student_and_maps_but_not_the_teacher(student: Any) -> None:
    teacher = tiny_teacher(layers=3, width=48)
    loss = _loss(student, teacher)
    student.model.zero_grad()
    loss.loss_sum(Forward(student.model, batch_of(rows_about_pictures(student)), needs_layers=True)).backward()
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in loss.parameters.values())
    assert float(student.model.model.language_model.layers[0].self_attn.q_proj.weight.grad.abs().max()) > 0
    assert all(parameter.grad is None for parameter in teacher.model.parameters())


def test_other_visual_tokens_are_resampled(student: Any) -> None:
    teacher = tiny_teacher(5, **SMALL_PICTURE)
    batch = batch_of(rows_about_pictures(student))
    batch[TEACHER_FEATURES] = batch_of(rows_about_pictures(teacher.system))["vision_features"]
    value = _value(_loss(student, teacher), student, batch)
    assert 0 < value < 10
    without = dict(batch)
    without[TEACHER_FEATURES] = torch.zeros_like(batch[TEACHER_FEATURES])
    assert _value(_loss(student, teacher), student, without) != pytest.approx(value)


def test_text_alone_has_a_text_term_only(student: Any) -> None:
    batch = batch_of(rows_about_pictures(student, (0,)))
    teacher = tiny_teacher()
    both = _value(_loss(student, teacher), student, batch)
    assert both == pytest.approx(_value(_loss(student, teacher, visual_weight=0, relation_weight=0), student, batch))
    assert both > 0


def test_the_weight_falls_along_a_half_cosine(student: Any) -> None:
    loss = _loss(student, tiny_teacher())
    assert [loss.weight_at(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.5, 0.3, 0.1])
