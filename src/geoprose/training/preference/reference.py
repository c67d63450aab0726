"""Log-probabilities of the reference: the model as the stage starts, asked once and kept on the disk.

Neither a second copy of the weights nor a second pass is needed while training, and a run that goes on reads back what
it began with.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ConfigError, TrainingError
from geoprose.data.mixture import FIXED_DRAWS
from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.feeds.preference import MISMATCH
from geoprose.training.forward import Forward
from geoprose.training.preference.log_probs import policy_log_probs
from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from geoprose.data.mixture import Unit
    from geoprose.training.rows.batches import StageBatches

logger = logging.getLogger(__name__)

FOLDER = "reference"
_TENSORS, _ABOUT = "reference.safetensors", "reference.json"


class ReferenceLogProbs:
    """Log-probability of every answer of a stage by its key."""

    def __init__(self, by_key: Mapping[int, float]) -> None:
        self._by_key = dict(by_key)

    def __len__(self) -> int:
        """Return the number of answers."""
        return len(self._by_key)

    def of(self, keys_A: Tensor) -> Tensor:
        """Return the log-probabilities (A,) of answers, float64.

        Raises:
            TrainingError: If an answer was not there when the stage began.
        """
        try:
            values = [self._by_key[key] for key in keys_A.tolist()]
        except KeyError as error:
            raise TrainingError(
                f"The reference knows no answer {error}: the data changed since the stage began. Start a new run with "
                "another --out folder."
            ) from None
        return torch.tensor(values, dtype=torch.float64, device=keys_A.device)


def reference_log_probs(folder: Path | None, model: Any, batches: StageBatches) -> ReferenceLogProbs:
    """Return the reference of a stage: read back from its folder, or computed and written there.

    Args:
        folder: Folder of the stage; None keeps the result in memory.
        model: The model as the stage starts with it. Fresh adapters add nothing, so they need not be switched off.
        batches: The micro-batches of the stage, of the feed for preferences.

    Raises:
        ConfigError: If the folder holds the reference of other weights or other data.
        TrainingError: If it is damaged.
    """
    units = list(visited_units(batches))
    about = {"weights": state_hash(model), "data": _data_hash(units)}
    target = None if folder is None else folder / FOLDER
    if target is not None and target.exists():
        return _read(target, about)
    found = _compute(model, batches, units)
    logger.info("reference: log-probabilities of %d answers", len(found))
    if target is not None and distributed.is_main():
        keys = sorted(found)
        values = torch.tensor([found[key] for key in keys], dtype=torch.float64)
        with checkpoints.atomic_folder(target) as temporary:
            checkpoints.write_tensors(temporary / _TENSORS, {"keys": torch.tensor(keys), "log_probs": values})
            (temporary / _ABOUT).write_text(json.dumps(about, indent=2) + "\n")
    return ReferenceLogProbs(found)


def visited_units(batches: StageBatches) -> Iterator[Unit]:
    """Yield the units that the stage trains on, each combination of samples once, in the order of the first visit."""
    seen: set[tuple[str, ...]] = set()
    total = sum(len(source.units) for source in batches.mixture.sources)
    is_fixed = all(source.draw in FIXED_DRAWS for source in batches.mixture.sources)
    for number in range(len(batches)):
        for unit in batches.plan.micro_batch(number):
            key = (unit.root, *(sample.id for sample in unit.samples))
            if key not in seen:
                seen.add(key)
                yield unit
        if is_fixed and len(seen) == total:
            return


def state_hash(model: Any) -> str:
    """Return the SHA-256 of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _data_hash(units: Sequence[Unit]) -> str:
    from geoprose.data.records import sample_to_dict

    digest = hashlib.sha256()
    for unit in units:
        for sample in unit.samples:
            digest.update(json.dumps(sample_to_dict(sample), sort_keys=True).encode())
    return digest.hexdigest()


@torch.no_grad()
def _compute(model: Any, batches: StageBatches, units: Sequence[Unit]) -> dict[int, float]:
    was_training = model.training
    model.eval()
    found: dict[int, float] = {}
    size = batches.stage.batch_size
    for start in range(0, len(units), size):
        batch: dict[str, Any] = batches.feed.batch(units[start : start + size])
        for part in (batch, batch.get(MISMATCH)):
            if part is not None:
                sums_A = policy_log_probs(Forward(model, _to(model, part))).sums_A
                found.update(zip(part["answer_keys"].tolist(), sums_A.double().tolist(), strict=True))
    model.train(was_training)
    return found


def _to(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    device = model.get_input_embeddings().weight.device
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}


def _read(folder: Path, about: dict[str, str]) -> ReferenceLogProbs:
    problem = checkpoints.damage(folder)
    if problem is not None:
        raise TrainingError(f"The reference in {folder} is damaged: {problem}. Delete that folder to compute it again.")
    before = json.loads((folder / _ABOUT).read_text())
    changed = [name for name in about if before.get(name) != about[name]]
    if changed:
        raise ConfigError(
            f"The reference in {folder} belongs to other {' and '.join(changed)} than this stage starts with. Bring "
            "them back, or start a new run with another --out folder."
        )
    tensors = checkpoints.read_tensors(folder / _TENSORS)
    return ReferenceLogProbs(dict(zip(tensors["keys"].tolist(), tensors["log_probs"].tolist(), strict=True)))
