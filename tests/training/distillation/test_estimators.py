"""Estimators against exact enumeration: every expectation here is a sum over all answers of a toy vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.training.distillation.divergences import reverse_kl
from geoprose.training.distillation.estimators import (
    ReleasedOptions,
    Scores,
    as_in_the_paper,
    as_released,
    clipped,
    leave_one_out,
    reward_to_go,
    tokens_to_go,
    with_less_variance,
)
from geoprose.training.distillation.toy import ToyAnswers, pick

if TYPE_CHECKING:
    from collections.abc import Callable

TOYS = [ToyAnswers(3, 3), ToyAnswers(3, 3, has_stop=True)]
GROUPS_OF_ONE = torch.arange(100)


def _exact(toy: ToyAnswers, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    leaf = student.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(toy.divergence(leaf, teacher), leaf)
    return gradient


def _expected(
    toy: ToyAnswers, tables: tuple[torch.Tensor, torch.Tensor], surrogate: Callable[[Scores], torch.Tensor]
) -> torch.Tensor:
    """Gradient of the surrogate, averaged over all answers with their probabilities."""
    leaf = tables[0].clone().requires_grad_(True)
    logits = toy.logits(leaf)
    values = surrogate(toy.scores(logits, toy.logits(tables[1])))
    (gradient,) = torch.autograd.grad((toy.chances(logits).detach() * values.sum(-1)).sum(), leaf)
    return gradient


@pytest.fixture(params=TOYS, ids=["fixed length", "with a stop token"])
def toy(request: pytest.FixtureRequest) -> ToyAnswers:
    return request.param


def test_the_toy_is_complete(toy: ToyAnswers) -> None:
    assert float(toy.chances(toy.logits(toy.table(0))).sum()) == pytest.approx(1.0)
    assert len(toy.tokens) == (15 if toy.has_stop else 27)


def test_gradients_of_the_unbiased_estimators_are_the_exact_one(toy: ToyAnswers) -> None:
    tables = toy.table(0), toy.table(1)
    exact = _exact(toy, *tables)
    paper = _expected(toy, tables, lambda scores: as_in_the_paper(scores, 0.0, 0.2, length_norm=False))
    ours = _expected(toy, tables, lambda scores: with_less_variance(scores, GROUPS_OF_ONE[: len(toy.tokens)], 0.0, 0.2))
    torch.testing.assert_close(paper, exact)
    torch.testing.assert_close(ours, exact)
    normalised = _expected(toy, tables, lambda scores: as_in_the_paper(scores, 0.0, 0.2))
    assert float((normalised - exact).norm() / exact.norm()) > 1e-3  # negative control: length norm is biased
    single = _expected(toy, tables, lambda scores: scores.kl_SL)
    assert float((single - exact).norm() / exact.norm()) > 1e-3  # negative control: so is the single step alone


def test_the_baseline_of_the_other_answers_keeps_the_mean(toy: ToyAnswers) -> None:
    """All pairs of answers, weighted by the product of their probabilities."""
    tables = toy.table(2), toy.table(3)
    number = len(toy.tokens)
    pairs = torch.cartesian_prod(torch.arange(number), torch.arange(number))
    leaf = tables[0].clone().requires_grad_(True)
    logits = toy.logits(leaf)
    chances = toy.chances(logits).detach()
    scores = pick(toy.scores(logits, toy.logits(tables[1])), pairs.flatten())
    group = torch.arange(len(pairs)).repeat_interleave(2)
    values = with_less_variance(scores, group, 0.0, 0.2).sum(-1).reshape(-1, 2).mean(-1)
    (gradient,) = torch.autograd.grad((chances[pairs].prod(-1) * values).sum(), leaf)
    torch.testing.assert_close(gradient, _exact(toy, *tables))


def test_the_single_step_term_is_autograds(toy: ToyAnswers) -> None:
    """grad KL_t = -sum_v q_v (r_v - mean r) d log q_v, worked out for the logits without autograd."""
    logits = toy.logits(toy.table(4)).requires_grad_(True)
    teacher = toy.logits(toy.table(5)).log_softmax(-1)
    student = logits.log_softmax(-1)
    (gradient,) = torch.autograd.grad(reverse_kl(student, teacher).sum(), logits)
    rewards = (teacher - student).detach()
    q = student.detach().exp()
    by_hand = -q * (rewards - (q * rewards).sum(-1, keepdim=True))
    torch.testing.assert_close(gradient, by_hand)


def test_expected_rewards_are_the_means_of_the_sampled_ones(toy: ToyAnswers) -> None:
    scores = toy.scores(toy.logits(toy.table(0)), toy.logits(toy.table(1)))
    chances = toy.chances(toy.logits(toy.table(0)))[:, None]
    torch.testing.assert_close((chances * scores.sampled_rewards).sum(0), (chances * scores.expected_rewards).sum(0))


def test_equal_teacher_and_student_give_zero_and_no_gradient(toy: ToyAnswers) -> None:
    table = toy.table(6)
    group = torch.arange(len(toy.tokens))
    for surrogate in (
        lambda scores: as_in_the_paper(scores, 0.2, 0.2),
        lambda scores: with_less_variance(scores, group // 4, 0.0, 0.2),
        lambda scores: as_released(scores, 0.2, 0.2, ReleasedOptions()),
    ):
        leaf = table.clone().requires_grad_(True)
        values = surrogate(toy.scores(toy.logits(leaf), toy.logits(table)))
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
        assert float(values.detach().abs().max()) < 1e-12
        assert float(gradient.abs().max()) < 1e-12


def test_weights_of_the_mixture(toy: ToyAnswers) -> None:
    scores = toy.scores(toy.logits(toy.table(0)), toy.logits(toy.table(1)))
    assert torch.equal(scores.weights(0.0), torch.ones_like(scores.kl_SL))
    weights = scores.weights(0.2)
    assert float(weights.max()) <= 1.25 + 1e-12
    q, p = scores.old_log_q_SL.exp(), scores.log_p_SL.exp()
    torch.testing.assert_close(weights, q / (0.8 * q + 0.2 * p))
    torch.testing.assert_close(scores.weights(1e-9), torch.ones_like(weights), atol=1e-6, rtol=0)


def test_the_weighted_first_token_keeps_its_mean() -> None:
    """For answers of one token the single factor is the exact weight, so the paper's estimate is unbiased."""
    toy = ToyAnswers(5, 1)
    tables = toy.table(0), toy.table(1)
    leaf = tables[0].clone().requires_grad_(True)
    logits = toy.logits(leaf)
    q, p = (toy.chances(side).detach() for side in (logits, toy.logits(tables[1])))
    values = as_in_the_paper(toy.scores(logits, toy.logits(tables[1])), 0.2, 0.2).sum(-1)
    (gradient,) = torch.autograd.grad(((0.8 * q + 0.2 * p) * values).sum(), leaf)
    torch.testing.assert_close(gradient, _exact(toy, *tables))


@given(st.integers(0, 1000), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_what_stands_behind_the_end_has_no_effect(seed: int, extra: int) -> None:
    toy = TOYS[1]
    scores = toy.scores(toy.logits(toy.table(seed)), toy.logits(toy.table(seed + 1)))
    generator = torch.Generator().manual_seed(seed)

    def padded(values: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(len(values), extra, generator=generator, dtype=values.dtype)
        held = torch.where(
            scores.is_real_SL, values, torch.randn(values.shape, generator=generator, dtype=values.dtype)
        )
        return torch.cat([held, noise], dim=1)

    parts = [padded(part) for part in (scores.kl_SL, scores.log_q_SL, scores.log_p_SL, scores.old_log_q_SL)]
    dirty = Scores(*parts, torch.nn.functional.pad(scores.is_real_SL, (0, extra)))
    group = torch.arange(len(toy.tokens)) // 3
    size = toy.length
    for surrogate in (
        lambda s: as_in_the_paper(s, 0.2, 0.2),
        lambda s: with_less_variance(s, group, 0.1, 0.2, length_norm=True),
    ):
        found = surrogate(dirty)
        torch.testing.assert_close(found[:, :size], surrogate(scores))
        assert not found[:, size:].any()


def test_sums_by_hand() -> None:
    rewards = torch.tensor([[1.0, 2.0, 4.0]])
    assert reward_to_go(rewards).tolist() == [[7.0, 6.0, 4.0]]
    assert reward_to_go(rewards, 0.5).tolist() == [[3.0, 4.0, 4.0]]
    assert tokens_to_go(torch.tensor([[True, True, False]])).tolist() == [[2, 1, 0]]
    values = torch.tensor([[1.0, 5.0], [3.0, 0.0], [8.0, 1.0], [2.0, 2.0]])
    out = leave_one_out(values, torch.tensor([7, 7, 7, 9]))
    assert out.tolist() == [[1 - 5.5, 5 - 0.5], [3 - 4.5, 0 - 3.0], [8 - 2.0, 1 - 2.5], [2.0, 2.0]]
    assert clipped(torch.tensor([1.0, -1.0, 1.0]), torch.tensor([1.5, 1.5, 0.5]), 0.2).tolist() == pytest.approx(
        [-1.2, 1.5, -0.5]
    )


def test_the_paper_by_hand() -> None:
    """Two tokens: the first is paid for the second, the second for nothing."""
    one = {"dtype": torch.float64}
    log_q, log_p = torch.tensor([[-1.0, -2.0]], **one), torch.tensor([[-1.5, -0.5]], **one)
    kl = torch.tensor([[0.3, 0.4]], **one)
    scores = Scores(kl, log_q, log_p, log_q, torch.ones(1, 2, dtype=torch.bool))
    weights = scores.weights(0.2)[0].tolist()
    assert as_in_the_paper(scores, 0.2, 0.2)[0].tolist() == pytest.approx([weights[0] * (0.3 - 1.5), weights[1] * 0.4])


def test_the_released_code_counts_the_own_reward_and_whitens() -> None:
    one = {"dtype": torch.float64}
    log_q, log_p = torch.tensor([[-1.0, -2.0]], **one), torch.tensor([[-1.5, -0.5]], **one)
    scores = Scores(torch.zeros(1, 2, **one), log_q, log_p, log_q, torch.ones(1, 2, dtype=torch.bool))
    rewards = [-0.5 / 0.5, 1.5 / 0.5]
    advantages = torch.tensor([(rewards[0] + 0.95 * rewards[1]) / 2, rewards[1]], **one)
    whitened = (advantages - advantages.mean()) / advantages.std()
    found = as_released(scores, 0.0, 0.2, ReleasedOptions())
    torch.testing.assert_close(found[0], -whitened, atol=1e-6, rtol=1e-6)
