"""Variance and bias of estimators of the gradient of the reverse KL, on answers that can be enumerated.

6 tokens, answers of 5: 7,776 answers, whose student and teacher are random tables. The gradient is that of the table's
logits. Bias and variance of an estimate from one answer are exact sums. The baseline needs several answers to one
question: groups of 4 are drawn, and the variance of their mean times 4 is compared, so every row costs the same
answers. Figures are those of one sampled answer.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from _harness import finish, target, versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from geoprose.training.distillation.estimators import Scores
    from geoprose.training.distillation.toy import ToyAnswers

LEAST_RATIO = 5.0
MAX_Z = 4.0
CLIP = 0.2


@dataclass
class Problem:
    """The toy, its tables, and the exact gradient (R, V)."""

    toy: ToyAnswers
    student: Tensor
    teacher: Tensor
    exact: Tensor

    def gradients(self, surrogate: Callable[[Scores], Tensor], chosen: Tensor) -> Tensor:
        """Gradient of the surrogate of each chosen answer at the logits it touches (S, T, V)."""
        import torch

        from geoprose.training.distillation.toy import pick

        toy = self.toy
        leaf = toy.logits(self.student)[chosen].requires_grad_(True)
        whole = toy.logits(self.student)
        scores = pick(toy.scores(whole, toy.logits(self.teacher)), chosen)
        live = _live(scores, leaf, toy.logits(self.teacher)[chosen], toy.tokens[chosen])
        (gradient,) = torch.autograd.grad(surrogate(live).sum(), leaf)
        return gradient

    def table(self, gradients: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Weighted sum of gradients (S, T, V) in the rows of the table (R, V)."""
        import torch

        rows = self.toy.prefixes[chosen]
        weighted = gradients * weights[:, None, None]
        return torch.zeros_like(self.student).index_add(0, rows.flatten(), weighted.flatten(0, 1))


def _live(scores: Scores, logits: Tensor, teacher: Tensor, tokens: Tensor) -> Scores:
    """Scores whose gradient goes to logits of each answer alone."""
    from dataclasses import replace

    from geoprose.training.distillation.divergences import reverse_kl

    student = logits.log_softmax(-1)
    said = student.gather(-1, tokens[:, :, None])[:, :, 0]
    return replace(scores, kl_SL=reverse_kl(student, teacher.log_softmax(-1)), log_q_SL=said)


def build(seed: int) -> Problem:
    """Draw the tables."""
    import torch

    from geoprose.training.distillation.toy import ToyAnswers

    toy = ToyAnswers(6, 5)
    student, teacher = toy.table(seed, 1.0), toy.table(seed + 1000, 1.0)
    leaf = student.clone().requires_grad_(True)
    (exact,) = torch.autograd.grad(toy.divergence(leaf, teacher), leaf)
    return Problem(toy, student, teacher, exact)


def exact_moments(problem: Problem, surrogate: Callable[[Scores], Tensor], mix: float) -> tuple[float, float]:
    """Variance (trace) and relative bias of the estimate from one answer, summed over all answers."""
    import torch

    toy = problem.toy
    everyone = torch.arange(len(toy.tokens))
    ours, theirs = (toy.logits(table).log_softmax(-1) for table in (problem.student, problem.teacher))
    mixed = ((1 - mix) * ours.exp() + mix * theirs.exp()).log()
    chances = toy.chances(mixed)
    gradients = problem.gradients(surrogate, everyone)
    mean = problem.table(gradients, everyone, chances)
    variance = float((chances * gradients.square().sum((1, 2))).sum() - mean.square().sum())
    return variance, float((mean - problem.exact).norm() / problem.exact.norm())


def grouped_moments(problem: Problem, size: int, groups: int, seed: int) -> tuple[float, float, float]:
    """Variance per answer, relative bias and its z-score for groups with the leave-one-out baseline, by sampling."""
    import torch

    from geoprose.training.distillation.estimators import with_less_variance

    toy = problem.toy
    generator = torch.Generator().manual_seed(seed)
    chances = toy.chances(toy.logits(problem.student))
    chosen = torch.multinomial(chances, groups * size, replacement=True, generator=generator)
    number = torch.arange(groups).repeat_interleave(size)
    gradients = problem.gradients(lambda scores: with_less_variance(scores, number, 0.0, CLIP), chosen)
    mean = problem.table(gradients, chosen, torch.full((len(chosen),), 1.0 / len(chosen), dtype=torch.float64))
    rows, parts = (part.unflatten(0, (groups, size)) for part in (toy.prefixes[chosen], gradients))
    same = rows[:, :, None] == rows[:, None]
    products = torch.einsum("gitv,gjtv->gijt", parts, parts)
    second = (products * same).sum((1, 2, 3)).mean() / size**2
    variance = float(second - mean.square().sum()) * groups / (groups - 1)
    # Under no bias the squared error of the mean has the variance of a mean of groups as its expectation.
    error = float((mean - problem.exact).square().sum())
    noise = variance / groups
    return variance * size, float((mean - problem.exact).norm() / problem.exact.norm()), (error / noise) ** 0.5


def main() -> None:
    """Measure and print."""
    import torch

    from geoprose.training.distillation import estimators as e

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (always on)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--groups", type=int, default=10_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lonely = torch.arange(7776)
    single = {
        "REINFORCE": (lambda s: -e.reward_to_go(s.sampled_rewards) * s.ratio, 0.0),
        "MiniLLM single + long": (lambda s: e.as_in_the_paper(s, 0.0, CLIP, length_norm=False), 0.0),
        "MiniLLM, length norm": (lambda s: e.as_in_the_paper(s, 0.0, CLIP), 0.0),
        "MiniLLM, teacher mix .2": (lambda s: e.as_in_the_paper(s, 0.2, CLIP, length_norm=False), 0.2),
        "MiniLLM, mix and norm": (lambda s: e.as_in_the_paper(s, 0.2, CLIP), 0.2),
        "expected rewards, no baseline": (lambda s: e.with_less_variance(s, lonely, 0.0, CLIP), 0.0),
        "single step only (GKD, on-policy reverse KL)": (lambda s: s.kl_SL, 0.0),
    }
    rows: dict[str, list[tuple[float, float]]] = {}
    scores = []
    for seed in range(arguments.seeds):
        problem = build(seed)
        for name, (surrogate, mix) in single.items():
            rows.setdefault(name, []).append(exact_moments(problem, surrogate, mix))
        for size in (2, 4, 8):
            variance, bias, z = grouped_moments(problem, size, arguments.groups, seed)
            rows.setdefault(f"ours, groups of {size}", []).append((variance, bias))
            if size == 4:
                scores.append(z)
    table = {
        name: {"variance": statistics.mean(v for v, _ in found), "relative_bias": statistics.mean(b for _, b in found)}
        for name, found in rows.items()
    }
    pairs = zip(rows["MiniLLM single + long"], rows["ours, groups of 4"], strict=True)
    ratios = [theirs / ours for (theirs, _), (ours, _) in pairs]
    result = {
        "benchmark": "distillation_variance",
        "versions": versions("torch"),
        "estimators": table,
        "ratios": ratios,
        "bias_over_noise": scores,
        "targets": [
            target("variance of MiniLLM over ours, least of the seeds", min(ratios), LEAST_RATIO, at_most=False),
            target("error of ours over its sampling noise, largest", max(scores), MAX_Z, at_most=True),
        ],
    }
    finish(result)


if __name__ == "__main__":
    main()
