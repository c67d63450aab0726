"""What the losses that compare answers share: the feed, the reference, the log-ratios."""

# A answers

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from geoprose.core.errors import ConfigError
from geoprose.training.losses.base import Batch, Forward, LossContext, StageLoss
from geoprose.training.preference.log_probs import policy_log_probs

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from geoprose.core.types import Sample
    from geoprose.training.preference.reference import ReferenceLogProbs


class LogRatios(NamedTuple):
    """The policy against the reference.

    Attributes:
        ratios_A: ``log pi(y | x) - log pi_ref(y | x)`` of each answer.
        sums_A: ``log pi(y | x)``.
        lengths_A: Tokens of each answer.
    """

    ratios_A: Tensor
    sums_A: Tensor
    lengths_A: Tensor


class PreferenceLoss(StageLoss):
    """A loss on the log-ratios of answers against the model that the stage started with."""

    feed = "preference"
    kinds = ("composite",)
    judges_answers = True

    partner_of: Callable[[Sample], str] | None = None
    """The answer to another prompt that is put to a sample's own, for losses that compare with such pairs."""

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self._reference: ReferenceLogProbs | None = None

    def begin(self, model: Any, batches: Any) -> None:
        """Compute the reference's log-probabilities of all answers, or read them back."""
        from geoprose.training.preference.reference import reference_log_probs

        self._reference = reference_log_probs(self.context.folder, model, batches)

    def reference_of(self, batch: Batch) -> Tensor:
        """Return the reference's log-probabilities (A,) of a batch."""
        if self._reference is None:
            raise ConfigError(f"The loss {self.spec.label} needs its reference; call begin() first.")
        return self._reference.of(batch["answer_keys"])

    def log_ratios(self, forward: Forward) -> LogRatios:
        """Return the log-ratios of the answers of a batch."""
        policy = policy_log_probs(forward)
        reference_A = self.reference_of(forward.batch).to(policy.sums_A)
        return LogRatios(policy.sums_A - reference_A, policy.sums_A, policy.lengths_A)


class PreferencePairLoss(PreferenceLoss):
    """A loss on pairs: the items are the pairs of the batch."""

    def note_pairs(self, found: LogRatios, pairs_P2: Tensor) -> None:
        """Note margin and accuracy of the implicit rewards ``beta log pi / pi_ref`` for the log."""
        self.note_margins(self.spec.beta * (found.ratios_A[pairs_P2[:, 0]] - found.ratios_A[pairs_P2[:, 1]]).detach())

    def note_margins(self, margins_P: Tensor) -> None:
        """Note sums over the pairs: how much more the preferred answer gets, and how often it gets more."""
        self.figures = {"margin": margins_P.sum(), "accuracy": (margins_P > 0).float().sum()}

    def num_items(self, batch: Batch) -> float:
        """Return the number of pairs.

        Raises:
            ConfigError: If the batch holds answers without a partner.
        """
        if 2 * len(batch["pairs"]) != len(batch["answer_keys"]):
            raise ConfigError(
                f"The loss {self.spec.label} compares pairs, but the data holds single judged answers (is_good). Give "
                "every record meta['rejected'], or use the loss kto."
            )
        return float(len(batch["pairs"]))
