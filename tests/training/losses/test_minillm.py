"""MiniLLM inside the engine's rows: what its parts are, and what must be zero."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.training.distillation.estimators import as_in_the_paper, reward_to_go, with_less_variance
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.gkd import GkdLoss, ReverseKlOnPolicyLoss
from geoprose.training.losses.minillm import MiniLlmLoss
from geoprose.training.losses.on_policy import check_can_write
from geoprose.training.specs.loss_distillation import GkdLossSpec, MiniLlmLossSpec, ReverseKlOnPolicyLossSpec
from geoprose.training.teacher import Teacher
from tests.fixtures.distillation import batch_of, rows_about_pictures, tiny_system


def _filled(loss: Any, student: Any, join_rows: bool = False) -> Forward:
    batch = batch_of(rows_about_pictures(student), join_rows)
    loss.fill(student.model, batch)
    return Forward(student.model, batch)


def _minillm(student: Any, teacher: Teacher, **changes: Any) -> MiniLlmLoss:
    options = {"max_new_tokens": 4, "lm_weight": 0.0, **changes}
    return MiniLlmLoss(MiniLlmLossSpec(**options), LossContext(student, teacher=teacher))


def test_reverse_kl_of_sampled_answers_is_the_one_of_full_logits(student: Any, teacher: Teacher) -> None:
    spec = ReverseKlOnPolicyLossSpec(max_new_tokens=4, samples=2, chunk_positions=5)
    loss = ReverseKlOnPolicyLoss(spec, LossContext(student, teacher=teacher))
    forward = _filled(loss, student)
    value = loss.loss_sum(forward)
    sampled = forward.batch["sampled_reverse_kl_on_policy"]
    assert loss.num_items(forward.batch) == int(sampled["is_answer"].sum()) > 12
    place = sampled["place"][sampled["is_answer"]]
    sides = []
    for model in (student.model, teacher.model):
        inputs = {key: sampled[key] for key in ("input_ids", "position_ids", "vision_features")}
        hidden = model.model(**inputs, attention_mask=sampled["attention_mask"], use_cache=False).last_hidden_state
        sides.append(loss.vocabulary.logits(model, hidden.flatten(0, 1)[place]).log_softmax(-1))
    expected = F.kl_div(sides[1], sides[0], log_target=True, reduction="sum")
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)


def test_the_share_of_sampled_batches_is_lmbda(student: Any, teacher: Teacher) -> None:
    loss = GkdLoss(GkdLossSpec(lmbda=0.5, max_new_tokens=1), LossContext(student, teacher=teacher, seed=4))
    batch = batch_of(rows_about_pictures(student, (0,)))
    chosen = []
    for number in range(40):
        numbered = {**batch, "number": torch.tensor(number)}
        loss.fill(student.model, numbered)
        chosen.append("sampled_gkd" in numbered)
    assert 10 <= sum(chosen) <= 30
    assert not GkdLoss(GkdLossSpec(), LossContext(student, teacher=teacher)).fills


@pytest.mark.parametrize("variant", ["paper", "released", "ours"])
def test_equal_models_give_no_gradient(student: Any, variant: str) -> None:
    loss = _minillm(student, Teacher(tiny_system()), variant=variant, teacher_mix=0.2)
    forward = _filled(loss, student)
    student.model.zero_grad()
    loss.loss_sum(forward).backward()
    gradients = [p.grad.abs().max() for p in student.model.parameters() if p.grad is not None]
    # The packed pass of the student and of its twin round alike; whitening divides by the deviation of what is zero.
    assert max(float(gradient) for gradient in gradients) < 1e-8


def test_scores_and_variants_are_wired_as_written(student: Any, teacher: Teacher) -> None:
    loss = _minillm(student, teacher, variant="paper")
    assert loss.options.teacher_mix == 0.2
    assert loss.options.samples == 4
    forward = _filled(loss, student)
    scores = loss.scores(forward)
    sampled = forward.batch["sampled_minillm"]
    real = scores.is_real_SL
    torch.testing.assert_close(scores.old_log_q_SL[real].float(), sampled["log_q"][real], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores.log_p_SL[real].float(), sampled["log_p"][real], atol=1e-4, rtol=1e-4)
    expected = as_in_the_paper(scores, 0.2, 0.2).sum()
    assert float(loss.loss_sum(forward).detach()) == pytest.approx(float(expected.detach()))
    ours = _minillm(student, teacher)
    assert ours.options.teacher_mix == 0.0
    forward = _filled(ours, student)
    group = forward.batch["sampled_minillm"]["group"]
    assert group.tolist() == [number for number in range(6) for _ in range(4)]
    expected = with_less_variance(ours.scores(forward), group, 0.0, 0.2).sum()
    assert float(ours.loss_sum(forward).detach()) == pytest.approx(float(expected.detach()))
    assert reward_to_go(scores.sampled_rewards).shape == real.shape


def test_the_language_modelling_term_is_its_mean_over_gold_tokens(student: Any, teacher: Teacher) -> None:
    """The pass that scores the sampled answers scores the gold ones too, and neither sees the other."""
    without, with_term = (_minillm(student, teacher, lm_weight=weight) for weight in (0.0, 2.0))
    alone, both = (_filled(loss, student) for loss in (without, with_term))
    difference = (with_term.loss_sum(both) - without.loss_sum(alone)).detach() / without.num_items(alone.batch)
    forward, next_ids = Forward(student.model, alone.batch), alone.batch["next_ids"]
    logits = student.model.lm_head(forward.hidden[next_ids != -100])
    mean = F.cross_entropy(logits, next_ids[next_ids != -100]).detach()
    assert float(difference) == pytest.approx(2.0 * float(mean), rel=1e-5)


def test_joined_rows_sample_and_score(student: Any, teacher: Teacher) -> None:
    loss = _minillm(student, teacher)
    value = loss.loss_sum(_filled(loss, student, join_rows=True))
    value.backward()
    assert torch.isfinite(value.detach())


def test_a_batch_without_answers_samples_nothing(student: Any, teacher: Teacher) -> None:
    loss = _minillm(student, teacher)
    batch = batch_of(rows_about_pictures(student, (1,)))
    batch["next_ids"] = torch.full_like(batch["next_ids"], -100)
    loss.fill(student.model, batch)
    assert float(loss.loss_sum(Forward(student.model, batch)).detach()) == 0.0


def test_a_system_that_cannot_write_packed_is_refused() -> None:
    from geoprose.systems.build import build_system

    with pytest.raises(ConfigError, match="cannot write packed answers"):
        check_can_write(build_system("flamingo", scale="tiny"))


def test_another_temperature_is_refused() -> None:
    with pytest.raises(ValidationError, match="temperature must be 1"):
        MiniLlmLossSpec(temperature=0.7)
