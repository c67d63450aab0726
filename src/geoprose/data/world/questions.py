"""Every rule over every tile, then a balanced choice by type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from geoprose.data.world import single
from geoprose.data.world.balance import Candidate, choose
from geoprose.data.world.margins import Margins
from geoprose.data.world.pairs import two_tile
from geoprose.data.world.regions import box
from geoprose.data.world.settings import WorldSettings
from geoprose.data.world.split import SplitName
from geoprose.data.world.survey import turned_facts
from geoprose.data.world.tiles import TileFacts

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


def questions_of(survey: Sequence[TileFacts], split: SplitName, settings: WorldSettings) -> list[Candidate]:
    """Return the balanced questions of one split."""
    turns = settings.train_turns if split == "train" else (0,)
    shown = [facts if turn == 0 else turned_facts(facts, turn) for facts in survey for turn in turns]
    quotas = settings.quotas[split]
    chosen: list[Candidate] = []
    for task in TASKS:
        if task in quotas:
            chosen += choose(_candidates(task, shown, settings), quotas[task], settings.seed)
    return chosen


def _candidates(task: str, shown: Sequence[TileFacts], settings: WorldSettings) -> Iterable[Candidate]:
    if task == "two_tile":
        return two_tile(shown, settings.margins, settings.seed)
    if task == "box":
        return box(shown, settings.margins)
    return (candidate for facts in shown for candidate in RULES[task](facts, settings.margins))
