"""Every rule over every tile, then a balanced choice by type."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.data.world import single
from geoprose.data.world.balance import Candidate, choose
from geoprose.data.world.margins import Margins
from geoprose.data.world.pairs import two_tile
from geoprose.data.world.regions import box
from geoprose.data.world.survey import turned_facts
from geoprose.data.world.tiles import TileFacts
from geoprose.data.world.weights import with_weights

if TYPE_CHECKING:
    from geoprose.data.world.settings import WorldSettings

Rule = Callable[[TileFacts, Margins], Iterator[Candidate]]

RULES: dict[str, Rule] = {
    "presence": single.presence,
    "dominant": single.dominant,
    "comparison": single.comparison,
    "location": single.location,
    "amount": single.amount,
    "list": single.listing,
    "caption": single.caption,
}
TASKS: tuple[str, ...] = (*RULES, "two_tile", "box")


def scored_questions(survey: Sequence[TileFacts], settings: WorldSettings) -> list[Candidate]:
    """Return balanced questions for scoring: no answer is more frequent than another as far as the tiles allow."""
    chosen: list[Candidate] = []
    for task, quota in settings.eval_quotas.items():
        chosen += choose(_candidates(task, survey, settings), quota, settings.seed)
    return chosen


def training_questions(survey: Sequence[TileFacts], settings: WorldSettings) -> list[Candidate]:
    """Return every question about every tile and about one pair per tile, each with its weight for drawing."""
    shown = [_as_shown(facts, settings.train_turns) for facts in survey]
    every = [item for task in TASKS if task != "two_tile" for item in _candidates(task, shown, settings)]
    pairs = two_tile(shown, settings.margins, settings.seed, settings.train_partners)
    return with_weights([*every, *pairs])


def _as_shown(facts: TileFacts, turns: Sequence[int]) -> TileFacts:
    """Return the tile in one of the turns, chosen by a hash of its name so that nothing else moves it."""
    turn = turns[hashlib.sha256(facts.tile.id.encode()).digest()[0] % len(turns)]
    return turned_facts(facts, turn) if turn else facts


def _candidates(task: str, shown: Sequence[TileFacts], settings: WorldSettings) -> Iterable[Candidate]:
    """Return every question of one type.

    Raises:
        ConfigError: If there is no such type.
    """
    if task == "two_tile":
        return two_tile(shown, settings.margins, settings.seed)
    if task == "box":
        return box(shown, settings.margins)
    if task not in RULES:
        raise ConfigError(unknown_name_message("question type", task, TASKS))
    return (candidate for facts in shown for candidate in RULES[task](facts, settings.margins))
