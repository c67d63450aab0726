"""The linear probe: separable classes are learnt, the penalty is chosen on held pictures alone."""

from __future__ import annotations

import torch

from geoprose.experiments.reproduce.linear_probe import choose_probe, fit_probe


def _blobs(count: int, seed: int, noise: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 0, 0, 1, 2]).repeat(count // 5)
    centres = torch.tensor([[4.0, 0.0], [-4.0, 100.0], [0.0, -100.0]])
    return centres[labels] + noise * torch.randn(count, 2, generator=generator), labels


def test_separable_classes_are_learnt() -> None:
    probe = fit_probe(*_blobs(60, 0), num_classes=3, penalty=1e-3)
    features, labels = _blobs(30, 1)
    assert probe.predict(features).tolist() == labels.tolist()


def test_the_gradient_of_the_stated_loss_is_zero() -> None:
    features, labels = _blobs(60, 0, noise=3.0)
    probe = fit_probe(features, labels, num_classes=3, penalty=0.01)
    scaled = (features.double() - probe.mean_E) / probe.deviation_E
    weight = probe.weight_KE.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(scaled @ weight.T + probe.bias_K, labels) + 0.01 * weight.square().sum()
    loss.backward()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) < 1e-4


def test_the_penalty_is_chosen_on_held_pictures() -> None:
    features, labels = _blobs(60, 0)
    _, chosen = choose_probe((features, labels), _blobs(30, 1), 3, (1e-3, 1e3))
    assert chosen == 1e-3, "the large penalty forgets the classes"
    _, equal = choose_probe((features, labels), _blobs(30, 1), 3, (1e-3, 1e-2))
    assert equal == 1e-2, "of two that are equally right the larger penalty is kept"
