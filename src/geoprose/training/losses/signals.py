"""Signal tokens learn what a generator's text encoder would say of the caption (NExT-GPT)."""

# R requests of the batch, Q vectors of a condition, C their width

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.arrays import read_array
from geoprose.models.parts.heads.signals import signal_loss
from geoprose.training.losses.base import Batch, Forward, LossContext, StageLoss

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.data.collator import Row
    from geoprose.data.mixture import Unit

SIGNALS = "signals"
"""Key of ``Sample.meta``: {signal: [path of an array, ...]}, one per request in the answers, in their order."""


class SignalMseLoss(StageLoss):
    """``signal_loss`` of the requests in the answers, one item each.

    Raises:
        ConfigError: If the system has no such signal.
    """

    kinds = ("composite",)

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        heads = getattr(context.system.model, "signal_heads", None) or {}
        if spec.signal not in heads:
            raise ConfigError(
                f"Loss signal_mse: system {context.system.spec.name} has no signal {spec.signal!r}; it has "
                f"{', '.join(heads) or 'none'}."
            )
        head = heads[spec.signal]
        self.shape = (head.queries.shape[1], head.output.out_features)
        self.key = f"signal_{spec.signal}"

    def add_targets(self, row: Row, unit: Unit) -> None:
        """Attach the targets (requests, Q, C) of the unit's answers.

        Raises:
            DataError: If a file is missing, or no array of that shape.
        """
        arrays = [_read(Path(unit.root) / name, self.shape) for s in unit.samples for name in self._names(s)]
        row.targets[self.key] = np.stack(arrays) if arrays else np.zeros((0, *self.shape), np.float32)

    def _names(self, sample: Any) -> list[str]:
        signals = sample.meta.get(SIGNALS) or {}
        names = signals.get(self.spec.signal, []) if isinstance(signals, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(
                f"Sample {sample.id}: meta['signals'] must be an object of lists of paths, found {signals!r}."
            )
        return [str(name) for name in names]

    def num_items(self, batch: Batch) -> float:
        """Return R."""
        return float(len(batch[self.key]))

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over requests of the mean over their vectors.

        Raises:
            ProcessingError: If the answers ask more or less often than there are targets.
        """
        model, batch = forward.model, forward.batch
        head, targets = model.signal_heads[self.spec.signal], batch[self.key]
        conditions_RQC = head.conditions(batch["input_ids"], forward.hidden, model.get_input_embeddings())
        if len(conditions_RQC) == len(targets) == 0:
            return forward.hidden.sum() * 0.0
        wide = targets.to(conditions_RQC.dtype) if conditions_RQC.dtype.itemsize >= 4 else targets.float()
        return signal_loss(conditions_RQC.to(wide.dtype), wide, self.spec.kind) * len(targets)


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray:
    array = read_array(path)
    if array.shape != shape:
        raise DataError(f"{path} has shape {array.shape}; the signal asks for {shape} (vectors, width).")
    return array.astype(np.float32)
