"""Beam search over continuations: several unfinished answers of a question go on side by side."""

# R questions, K beams, B rows of the model (the beams of all questions that still go on), O vocabulary

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from geoprose.inference.continuations import Continuations

    Ids = list[int]


@dataclass(frozen=True)
class BeamOptions:
    """How beams are searched.

    Attributes:
        num_beams: K.
        limit: Longest answer, tokens.
        length_penalty: Finished answers are ranked by ``log p / length ** length_penalty``, the end token counted;
            above 0 this favours longer answers.
    """

    num_beams: int
    limit: int
    length_penalty: float = 1.0


@dataclass
class _Search:
    """The search of one question: unfinished beams, best first, and the best finished answers."""

    running: list[tuple[float, Ids]] = field(default_factory=lambda: [(0.0, [])])
    finished: list[tuple[float, Ids]] = field(default_factory=list)

    def finish(self, score: float, ids: Ids, options: BeamOptions, length: int) -> None:
        """Keep an answer if it is among the best."""
        self.finished.append((score / length**options.length_penalty, ids))
        self.finished.sort(key=lambda pair: -pair[0])
        del self.finished[options.num_beams :]

    def is_done(self, options: BeamOptions, length: int) -> bool:
        """Tell whether no beam can overtake the finished answers at its present length any more."""
        if len(self.finished) < options.num_beams:
            return False
        within_reach: float = self.running[0][0] / length**options.length_penalty
        return within_reach <= self.finished[-1][0]


def beam_search(
    continuations: Continuations, logits_RO: Tensor, stop_ids: Collection[int], banned: Tensor, options: BeamOptions
) -> list[Ids]:
    """Return the best answer of each question, without its end token.

    Args:
        continuations: One row per question, the prompts read.
        logits_RO: What follows the prompts.
        stop_ids: End tokens.
        banned: Tokens that are never written.
        options: Width, limit, penalty.

    Source:
        The rules of ``generate(num_beams=K, early_stopping=False)`` of transformers: of the 2 K best candidates, end
        tokens among the first K finish an answer and the best K others go on.
    """
    searches = [_Search() for _ in logits_RO]
    active = list(range(len(searches)))
    log_probs_BO = _log_probs(logits_RO, banned)
    for length in range(1, options.limit + 1):
        going, parents, first = [], [], 0
        for number in active:
            search = searches[number]
            rows = range(first, first + len(search.running))
            first = rows.stop
            places = _step(search, log_probs_BO[rows.start : rows.stop], stop_ids, options, length)
            if length < options.limit and not search.is_done(options, length):
                going.append(number)
                parents += [rows[place] for place in places]
        active = going
        if not active:
            break
        continuations.keep(torch.tensor(parents))
        logits_BO = continuations.feed([ids[-1:] for number in active for _, ids in searches[number].running])
        log_probs_BO = _log_probs(logits_BO, banned)
    return [search.finished[0][1] for search in searches]


def _step(
    search: _Search, log_probs_KO: Tensor, stop_ids: Collection[int], options: BeamOptions, length: int
) -> list[int]:
    """Extend the beams of one question by a token; return the beam that each new one goes on from."""
    scores_K = torch.tensor(
        [score for score, _ in search.running], dtype=log_probs_KO.dtype, device=log_probs_KO.device
    )
    totals = (scores_K[:, None] + log_probs_KO).flatten()
    best = totals.topk(min(2 * options.num_beams, totals.numel()))
    running: list[tuple[float, Ids]] = []
    places: list[int] = []
    for rank, (score, index) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
        place, token = divmod(index, log_probs_KO.shape[1])
        ids = search.running[place][1]
        if token in stop_ids:
            if rank < options.num_beams:
                search.finish(score, ids, options, length)
        elif len(running) < options.num_beams:
            running.append((score, [*ids, token]))
            places.append(place)
    search.running = running
    if length == options.limit:
        for score, ids in running:
            search.finish(score, ids, options, length)
    return places


def _log_probs(logits_BO: Tensor, banned: Tensor) -> Tensor:
    # Why after the softmax: as transformers does, so that its scores are the same.
    return logits_BO.float().log_softmax(-1).index_fill(-1, banned.to(logits_BO.device), float("-inf"))
