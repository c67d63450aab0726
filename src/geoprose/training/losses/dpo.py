"""Direct preference optimisation: the preferred answer must gain on the rejected one, measured from the reference."""

# P pairs

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from geoprose.training.preference.loss import PreferencePairLoss

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.losses.base import Forward


def dpo_losses(chosen_P: Tensor, rejected_P: Tensor, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """Return ``-(1 - e) log sigma(beta d) - e log sigma(-beta d)`` with ``d = chosen - rejected`` (P,).

    Args:
        chosen_P: Log-ratio ``log pi / pi_ref`` of the preferred answers.
        rejected_P: The same of the rejected ones.
        beta: Strength of the reference.
        label_smoothing: ``e``, the share of pairs thought to be the wrong way round.

    Source:
        arXiv:2305.18290, eq. 7; smoothing as in the authors' code (cDPO).
    """
    logits_P = beta * (chosen_P - rejected_P)
    return -(1 - label_smoothing) * F.logsigmoid(logits_P) - label_smoothing * F.logsigmoid(-logits_P)


def robust_dpo_losses(chosen_P: Tensor, rejected_P: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """Return ``(-(1 - e) log sigma(beta d) + e log sigma(-beta d)) / (1 - 2 e)`` (P,).

    Its expectation over pairs of which a share ``e`` is flipped is the plain loss on the true pairs.

    Source:
        arXiv:2403.00409, eq. 8.
    """
    logits_P = beta * (chosen_P - rejected_P)
    kept, flipped = (1 - label_smoothing) * F.logsigmoid(logits_P), label_smoothing * F.logsigmoid(-logits_P)
    return (flipped - kept) / (1 - 2 * label_smoothing)


def ipo_losses(chosen_P: Tensor, rejected_P: Tensor, beta: float) -> Tensor:
    """Return ``(d - 1 / (2 beta))^2`` (P,); give log-ratios divided by the number of tokens.

    Source:
        arXiv:2310.12036, eq. 17, with ``beta`` for tau. The paper sums over tokens; TRL divides by their number, which
        its authors confirmed, and so does the loss of a recipe.
    """
    return (chosen_P - rejected_P - 1 / (2 * beta)).square()


def hinge_losses(chosen_P: Tensor, rejected_P: Tensor, beta: float) -> Tensor:
    """Return ``max(0, 1 - beta d)`` (P,). Source: SLiC, arXiv:2305.10425, with the reference of arXiv:2309.06657."""
    return F.relu(1 - beta * (chosen_P - rejected_P))


class DpoLoss(PreferencePairLoss):
    """The loss of a recipe, a mean over pairs."""

    def loss_sum(self, forward: Forward) -> Tensor:
        """Compare both answers of every pair."""
        spec, found, pairs_P2 = self.spec, self.log_ratios(forward), forward.batch["pairs"]
        self.note_pairs(found, pairs_P2)
        ratios_A = found.ratios_A / found.lengths_A.clamp(min=1) if spec.kind == "ipo" else found.ratios_A
        chosen_P, rejected_P = ratios_A[pairs_P2[:, 0]], ratios_A[pairs_P2[:, 1]]
        if spec.kind == "ipo":
            return ipo_losses(chosen_P, rejected_P, spec.beta).sum()
        if spec.kind == "hinge":
            return hinge_losses(chosen_P, rejected_P, spec.beta).sum()
        losses = robust_dpo_losses if spec.kind == "robust" else dpo_losses
        return losses(chosen_P, rejected_P, spec.beta, spec.label_smoothing).sum()
