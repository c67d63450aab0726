"""What a linear layer reads from frozen features: the usual test of an encoder."""

# N pictures, E features, K classes

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_STEPS = 200


@dataclass(frozen=True)
class LinearProbe:
    """Logistic regression over standardised features.

    Attributes:
        mean_E: Mean of the training features.
        deviation_E: Their deviation.
        weight_KE: Weights.
        bias_K: Offsets.
    """

    mean_E: Tensor
    deviation_E: Tensor
    weight_KE: Tensor
    bias_K: Tensor

    def predict(self, features_NE: Tensor) -> Tensor:
        """Return the likeliest class of each picture (N)."""
        scaled_NE = (features_NE.double() - self.mean_E) / self.deviation_E
        return F.linear(scaled_NE, self.weight_KE, self.bias_K).argmax(-1)

    def tensors(self) -> dict[str, Tensor]:
        """Return its parts by name, for a file."""
        return dict(vars(self))


def fit_probe(features_NE: Tensor, labels_N: Tensor, num_classes: int, penalty: float) -> LinearProbe:
    """Fit the probe by L-BFGS in float64: the loss is convex, so nothing is drawn.

    Args:
        features_NE: Features of the training pictures.
        labels_N: Their classes.
        num_classes: K.
        penalty: Weight of the mean of the squared weights beside the mean cross-entropy.
    """
    features = features_NE.double()
    mean_E, deviation_E = features.mean(0), features.std(0, correction=0).clamp_min(1e-6)
    scaled_NE = (features - mean_E) / deviation_E
    weight_KE = torch.zeros(num_classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias_K = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight_KE, bias_K], max_iter=_MAX_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(F.linear(scaled_NE, weight_KE, bias_K), labels_N) + penalty * weight_KE.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch is untyped here
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]  # torch.optim is untyped here
    return LinearProbe(mean_E, deviation_E, weight_KE.detach(), bias_K.detach())


def choose_probe(
    train: tuple[Tensor, Tensor], held: tuple[Tensor, Tensor], num_classes: int, penalties: Sequence[float]
) -> tuple[LinearProbe, float]:
    """Fit one probe per penalty and keep the one that is right most often on held pictures; the larger on equality.

    Args:
        train: Features and classes to fit on.
        held: Features and classes to choose by; never those that are reported on.
        num_classes: K.
        penalties: Candidates.

    Returns:
        The probe and its penalty.
    """
    best: tuple[float, LinearProbe, float] | None = None
    for penalty in sorted(penalties, reverse=True):
        probe = fit_probe(*train, num_classes, penalty)
        right = float((probe.predict(held[0]) == held[1]).double().mean())
        if best is None or right > best[0]:
            best = (right, probe, penalty)
    assert best is not None, "there is at least one penalty"
    return best[1], best[2]
