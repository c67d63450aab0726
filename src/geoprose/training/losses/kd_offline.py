"""Knowledge distillation on the gold answers: the teacher's next-token distributions are the targets."""

# K answer positions, D width, V tokens of the shared vocabulary, k kept tokens

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from geoprose.assets.cache import cache_root
from geoprose.core.errors import ConfigError
from geoprose.data.collator import IGNORED_LABEL
from geoprose.training.distillation.answer_runs import name_answers
from geoprose.training.distillation.divergences import (
    forward_kl,
    log_probabilities,
    reverse_kl,
    top_k_forward_kl,
)
from geoprose.training.distillation.teacher_cache import TeacherCache, TopTokens
from geoprose.training.distillation.teacher_pass import teacher_pass
from geoprose.training.distillation.vocabulary import map_in_chunks
from geoprose.training.forward import Forward
from geoprose.training.losses.distillation import AnswerLoss
from geoprose.training.pictures.features import FeatureStore
from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.data.collator import Row
    from geoprose.data.mixture import Unit
    from geoprose.training.losses.base import Batch, LossContext

logger = logging.getLogger(__name__)

DIVERGENCES = {"forward_kl": forward_kl, "reverse_kl": reverse_kl}
PICTURES = "picture_digest"
"""Name in a batch of what tells its pictures apart (N, 2): the first half of the SHA-256 of each file."""
FOLDER = "teacher"


class KdOfflineLoss(AnswerLoss):
    """Forward or reverse KL at the positions of the gold answers, the teacher asked at every step or once."""

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self._digests: dict[Path, str] | None = None
        self._cache: TeacherCache | None = None

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the divergence (times temperature squared) and the weighted cross-entropy, summed."""
        spec = self.spec
        if spec.source == "cache":
            return self._cached_sum(forward)
        return self.gold_divergence(forward, DIVERGENCES[spec.divergence], spec.temperature, float(spec.lm_weight))

    def add_targets(self, row: Row, unit: Unit) -> None:
        """Attach what names the pictures, beside what the teacher sees."""
        super().add_targets(row, unit)
        if self._digests is None:
            return
        digests = [self._digests[Path(unit.root) / image] for image in unit.images]
        halves = [np.frombuffer(bytes.fromhex(digest[:32]), dtype=np.int64) for digest in digests]
        row.targets[PICTURES] = np.stack(halves) if halves else np.zeros((0, 2), np.int64)

    def begin(self, model: Any, batches: Any) -> None:
        """Ask the teacher about all answers of the stage that the cache lacks; does nothing with ``source: live``."""
        if self.spec.source == "live":
            return
        if self.spec.keep == "run" and self.context.folder is None:
            raise ConfigError("kd_offline with keep: run needs the folder of a run; use keep: user.")
        root = cache_root() if self.spec.keep == "user" else self.context.folder
        assert root is not None
        self._digests = batches.feed.vision.scan.digests
        with distributed.main_first():
            self._cache = TeacherCache(root / FOLDER, self._about(batches.feed.vision))
            names = self._complete(model, batches)
        if not names:
            return
        mean, low = self._cache.covered(names)
        logger.info(
            "the teacher's %d likeliest tokens cover %.4f of its mass (5 %% of positions: %.4f or less); %d answers",
            self.spec.top_k,
            mean,
            low,
            len(names),
        )

    def _about(self, vision: Any) -> dict[str, Any]:
        """Return all that the teacher's word depends on, beside the answer and its pictures."""
        seen = self.teacher.vision or vision
        store = seen.store.folder.name if isinstance(seen.store, FeatureStore) else type(seen.store).__name__
        return {
            "teacher": self.teacher.content_hash(),
            "features": store,
            "vocabulary": self.vocabulary.size,
            "top_k": self.spec.top_k,
        }

    def _complete(self, model: Any, batches: Any) -> list[str]:
        """Ask about what is missing, batch by batch; return the names of the stage's answers."""
        assert self._cache is not None
        found: dict[str, None] = {}
        for number in range(len(batches)):
            batch = batches[number]
            answers = self._names(model, batch)
            found.update(dict.fromkeys(name for name, _ in answers))
            if any(name not in self._cache for name, _ in answers):
                self._cache.add(self._ask(model, batch, answers))
        self._cache.flush()
        return list(found)

    def _names(self, model: Any, batch: Batch) -> list[tuple[str, int]]:
        pictures = [str(tuple(digest)) for digest in batch[PICTURES].tolist()] if PICTURES in batch else []
        return name_answers(batch, int(model.config.image_token_id), int(model.model.num_visual_tokens), pictures)

    @torch.no_grad()
    def _ask(self, model: Any, batch: Batch, answers: list[tuple[str, int]]) -> dict[str, TopTokens]:
        device = next(model.parameters()).device
        moved = {name: value.to(device) for name, value in batch.items()}
        states_KD = teacher_pass(self.teacher, Forward(model, moved)).states(moved["next_ids"])
        parts = [
            TopTokens.of(log_probabilities(self.vocabulary.logits(self.teacher.model, states)), self.spec.top_k)
            for states in torch.split(states_KD, self.spec.chunk_positions)
        ]
        top, start, found = TopTokens.join(parts), 0, {}
        for name, length in answers:
            found[name] = top.cut(start, start + length)
            start += length
        return found

    def _cached_sum(self, forward: Forward) -> Tensor:
        """Return forward KL over the kept tokens and a bucket for the others, and the cross-entropy."""
        assert self._cache is not None, "begin() opens the cache"
        next_ids_BT = forward.batch["next_ids"]
        targets_K = next_ids_BT[next_ids_BT != IGNORED_LABEL]
        if targets_K.numel() == 0:
            return forward.hidden.sum() * 0.0
        top = TopTokens.join([self._cache.get(name) for name, _ in self._names(forward.model, forward.batch)])
        states_KD = forward.hidden[next_ids_BT != IGNORED_LABEL]
        kept = [part.to(states_KD.device) for part in (top.tokens.long(), top.log_probs, top.log_tail)]

        def scored(states: Tensor, targets: Tensor, tokens: Tensor, log_probs: Tensor, log_tail: Tensor) -> Tensor:
            student = self.vocabulary.logits(forward.model, states)
            value = top_k_forward_kl(student.log_softmax(-1), tokens, log_probs.to(student), log_tail.to(student))
            weight = float(self.spec.lm_weight)
            return value + weight * F.cross_entropy(student, targets, reduction="none") if weight else value

        return map_in_chunks(scored, self.spec.chunk_positions, states_KD, targets_K, *kept).sum()
