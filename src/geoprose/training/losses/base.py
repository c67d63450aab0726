"""What a loss must offer so that the trainer can weight and accumulate it exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from geoprose.training.forward import Batch, Forward

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from geoprose.core.types import Sample
    from geoprose.data.collator import Row
    from geoprose.data.mixture import Unit

__all__ = ["Batch", "Forward", "LossContext", "StageLoss"]


@dataclass(frozen=True)
class LossContext:
    """What a loss may look at when it is built.

    Attributes:
        system: Model and processor that train.
        sources: Folder of the pictures and training samples of each source of the stage.
        seed: Seed of the stage.
        teacher: The recipe's teacher, frozen; None without one.
        folder: Folder of the stage, for what is computed once and read back when a run goes on.
        shared: What several losses of the stage learn or use together, by name; the first one makes it.
    """

    system: Any
    sources: Sequence[tuple[str, Sequence[Sample]]] = ()
    seed: int = 0
    teacher: Any = None
    folder: Path | None = None
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def samples(self) -> list[Sample]:
        """The samples of all sources, for losses that need a vocabulary."""
        return [sample for _, samples in self.sources for sample in samples]


class StageLoss(ABC):
    """A sum over items and the number of items, so that accumulation divides by the count of the whole step.

    Args:
        spec: The entry of the recipe.
        context: What the loss may look at.
    """

    feed: ClassVar[str] = "conversation"
    """Name of the feed that makes its batches; all losses of a stage must agree."""

    kinds: ClassVar[tuple[str, ...]] = ("composite", "encoder_decoder")
    """Kinds of system that it trains."""

    whole_batch: ClassVar[bool] = False
    """Whether it compares the rows of a micro-batch with each other, so that accumulating is another loss."""

    one_tile: ClassVar[bool] = False
    """Whether a picture must be one tile, whatever its size: what it compares with stands for a whole picture."""

    judges_answers: ClassVar[bool] = False
    """Whether its data says how good whole answers are, so that none may be cut."""

    parameters: dict[str, nn.Parameter]
    """What the loss itself learns; trained and checkpointed with the stage, then thrown away."""

    needs_text: bool = True
    """Whether the batch must hold token ids; a connector-only loss needs none."""

    needs_pixels: ClassVar[bool] = False
    """Whether it reads pixels even where the vision encoder is frozen and its features could be cached."""

    needs_layers: bool = False
    """Whether it reads the states of inner layers (``Forward.layers``)."""

    fills: bool = False
    """Whether ``fill`` adds something to a batch before its items are counted."""

    figures: dict[str, Any]
    """What else the log shows: sums over the items of the last ``loss_sum``, such as pairs that are ranked right."""

    def __init__(self, spec: Any, context: LossContext) -> None:
        self.spec = spec
        self.context = context
        self.weight = float(spec.weight)
        self.parameters: dict[str, nn.Parameter] = {}
        self.figures: dict[str, Any] = {}

    def weight_at(self, progress: float) -> float:
        """Return the weight at ``progress`` (0 at the first step, towards 1 at the last)."""
        return self.weight

    def begin(self, model: Any, batches: Any) -> None:  # noqa: B027 - most losses have nothing to prepare
        """Compute what is needed once before the first step, such as a reference's log-probabilities.

        Called again when a run goes on, so the result must be kept in ``context.folder`` or be cheap.

        Args:
            model: The model as the stage starts with it (as the checkpoint left it when a run goes on).
            batches: The ``StageBatches`` of the stage.
        """

    def add_targets(self, row: Row, unit: Unit) -> None:  # noqa: B027 - most losses need no extra targets
        """Attach to ``row.targets`` what the loss compares with."""

    def fill(self, model: Any, batch: MutableMapping[str, Any]) -> None:  # noqa: B027 - only on-policy losses sample
        """Add what the current model says about the batch, such as sampled answers; no gradient flows through it.

        Called for all micro-batches of an optimiser step before the first is trained on. ``batch["number"]`` is the
        number of the micro-batch; randomness must depend on it and on ``context.seed`` only.
        """

    def end(self) -> None:  # noqa: B027 - most losses leave nothing behind
        """Write into ``context.folder`` what must outlive the stage; called after its last step, before it is done."""

    @abstractmethod
    def num_items(self, batch: Batch) -> float:
        """Return how many items (tokens, cells, words) the batch counts."""

    @abstractmethod
    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum of the loss over the items of ``forward.batch``, float32 or wider."""
