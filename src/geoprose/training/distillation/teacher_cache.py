"""What a teacher says about gold answers, kept on the disk: its k likeliest tokens a position and the mass of the rest.

Answers are known by their content, so any stage, seed or packing that shows the same pictures, questions and answers to
the same teacher finds them. A killed writer leaves whole shards only, and the next run goes on behind them.
"""

# P positions of a shard or of a batch, k kept tokens, V vocabulary

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geoprose.core.errors import TrainingError
from geoprose.training.checkpoints import checkpoint as checkpoints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

logger = logging.getLogger(__name__)

SHARD_POSITIONS = 1 << 16
_INDEX, _TENSORS, _ABOUT = "answers.json", "top.safetensors", "about.json"


@dataclass(frozen=True)
class TopTokens:
    """The teacher's distribution at some positions, shortened.

    Attributes:
        tokens: Its likeliest tokens (P, k), int32.
        log_probs: Their log-probabilities (P, k), float32.
        log_tail: Log of the mass of all others (P,), ``-inf`` without any.
    """

    tokens: Tensor
    log_probs: Tensor
    log_tail: Tensor

    @classmethod
    def of(cls, log_probs_PV: Tensor, k: int) -> TopTokens:
        """Keep the ``k`` likeliest tokens of each position."""
        kept, tokens = log_probs_PV.topk(min(k, log_probs_PV.shape[-1]), dim=-1)
        # Why not 1 - sum(kept): it cancels where the teacher is sure; the others are summed themselves.
        log_tail = log_probs_PV.scatter(-1, tokens, -torch.inf).logsumexp(-1)
        return cls(tokens.int().cpu(), kept.float().cpu(), log_tail.float().cpu())

    @classmethod
    def join(cls, parts: Sequence[TopTokens]) -> TopTokens:
        """Return several stretches as one."""
        names = ("tokens", "log_probs", "log_tail")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def cut(self, start: int, stop: int) -> TopTokens:
        """Return the positions from ``start`` to ``stop``."""
        return TopTokens(self.tokens[start:stop], self.log_probs[start:stop], self.log_tail[start:stop])

    @property
    def covered(self) -> Tensor:
        """Mass of the kept tokens (P,)."""
        return self.log_probs.exp().sum(-1)


class TeacherCache:
    """Top tokens by the name of an answer.

    Args:
        root: Folder of all caches of teachers.
        about: All that the content depends on beside the answers; gives the folder its name.
    """

    def __init__(self, root: Path, about: dict[str, Any]) -> None:
        canonical = json.dumps(about, sort_keys=True)
        self.folder = root / hashlib.sha256(canonical.encode()).hexdigest()[:32]
        self.about = about
        self._places: dict[str, tuple[str, int, int]] = {}
        self._open: dict[str, TopTokens] = {}
        self._new: dict[str, TopTokens] = {}
        for shard in sorted(self.folder.glob("shard-*")):
            self._read_index(shard)

    def __contains__(self, name: str) -> bool:
        """Tell whether the answer is there."""
        return name in self._places or name in self._new

    def __len__(self) -> int:
        """Return the number of answers."""
        return len(self._places) + len(self._new)

    def get(self, name: str) -> TopTokens:
        """Return the positions of one answer.

        Raises:
            TrainingError: If it is not there: the cache was made for other data.
        """
        if name in self._new:
            return self._new[name]
        if name not in self._places:
            raise TrainingError(
                f"The teacher's cache {self.folder} lacks an answer of this stage, which is made when a stage begins. "
                "Were records or pictures changed meanwhile? Start a new run, or use source: live."
            )
        shard, start, stop = self._places[name]
        if shard not in self._open:
            tensors = checkpoints.read_tensors(self.folder / shard / _TENSORS)
            self._open[shard] = TopTokens(tensors["tokens"], tensors["log_probs"], tensors["log_tail"])
        return self._open[shard].cut(start, stop)

    def add(self, answers: dict[str, TopTokens]) -> None:
        """Keep answers; a shard is written when enough have come together."""
        self._new.update(answers)
        if sum(len(top.log_tail) for top in self._new.values()) >= SHARD_POSITIONS:
            self.flush()

    def flush(self) -> None:
        """Write what is not on the disk yet."""
        if not self._new:
            return
        names = list(self._new)
        sizes = [len(self._new[name].log_tail) for name in names]
        top = TopTokens.join([self._new[name] for name in names])
        shard = self.folder / f"shard-{hashlib.sha256(''.join(names).encode()).hexdigest()[:16]}"
        with checkpoints.atomic_folder(shard) as folder:
            tensors = {"tokens": top.tokens, "log_probs": top.log_probs, "log_tail": top.log_tail}
            checkpoints.write_tensors(folder / _TENSORS, tensors)
            (folder / _INDEX).write_text(json.dumps({"names": names, "sizes": sizes}))
            (folder / _ABOUT).write_text(json.dumps(self.about, indent=2) + "\n")
        self._new = {}
        self._read_index(shard)

    def covered(self, names: Sequence[str]) -> tuple[float, float]:
        """Return mean and fifth percentile of the mass that the kept tokens cover, over the positions of answers."""
        masses = torch.cat([self.get(name).covered for name in names]).numpy()
        return float(masses.mean()), float(np.percentile(masses, 5))

    def _read_index(self, shard: Path) -> None:
        problem = checkpoints.damage(shard)
        if problem is not None:
            logger.warning("part %s of the teacher's cache is made again: %s", shard.name, problem)
            return
        index = json.loads((shard / _INDEX).read_text())
        start = 0
        for name, size in zip(index["names"], index["sizes"], strict=True):
            self._places[name] = (shard.name, start, start + size)
            start += size
