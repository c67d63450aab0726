"""Answer every question type from a predicted map of class shares, with the rules that built the questions.

The answerer sees the predicted shares of the 4 x 4 cells and the question's text; it never sees the truth. What it
scores says how far colour statistics, or a linear reading of the encoder, already go without a language model.
"""

# C classes, G cells along a side, H W pixels of a tile

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.world import wording
from geoprose.data.world.classes import NAMES, NUM_CLASSES
from geoprose.data.world.margins import Margins
from geoprose.data.world.pairs import two_tile
from geoprose.data.world.questions import RULES
from geoprose.data.world.regions import box
from geoprose.data.world.tiles import GRID, Tile, TileFacts
from geoprose.evaluation.predictions import question_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue, Sample
    from geoprose.data.world.balance import Candidate

TILE_PX = 64
CELL_PX = TILE_PX // GRID
PAIR_SEEDS = 64
"""The builder pairs tiles by a hash; of so many seeds some pair the two tiles of a question."""
_TINY = 1e-9


@dataclass(frozen=True)
class Thresholds:
    """Shares from which a class counts; between the builder's limits, where it asks nothing.

    Attributes:
        present: For presence questions and captions.
        listed: For list questions.
    """

    present: float = 0.05
    listed: float = 0.10


def undecided_never(thresholds: Thresholds) -> Margins:
    """Return margins that leave nothing undecided, so that every question gets an answer."""
    return Margins(
        present=thresholds.present,
        absent=thresholds.present,
        main_min=0,
        dominant_lead=0,
        comparison_min=0,
        comparison_lead=0,
        location_min=0.1,
        location_max=1,
        location_offset=0,
        location_ratio=1,
        list_min=thresholds.listed,
        list_unclear=thresholds.listed,
        pair_lead=0,
        box_blocks=1,
        box_second=1,
        box_max=1,
    )


def caption_margins(thresholds: Thresholds) -> Margins:
    """Return the builder's margins for captions, without the cases that it skips."""
    present = thresholds.present
    return Margins(main_min=0, caption_lead=0, caption_alone=present, present=present, absent=min(present, 0.002))


def predicted_facts(name: str, cells_GGC: NDArray[np.float64]) -> TileFacts:
    """Make tile facts from predicted shares: clipped at zero, each cell summing to one, pixels drawn to match."""
    clipped = np.clip(cells_GGC, 0, None) + _TINY
    shares_GGC = clipped / clipped.sum(axis=-1, keepdims=True)
    return TileFacts(Tile(0, 0, TILE_PX, name), _drawn(shares_GGC), shares_GGC.mean(axis=(0, 1)), shares_GGC)


def answer_symbolically(task: str, question: str, facts: Sequence[TileFacts], thresholds: Thresholds) -> str:
    """Answer one question from predicted facts; empty when no rule makes this question.

    Args:
        task: Question type.
        question: Text without image marks.
        facts: Predicted facts of the pictures, in their order.
        thresholds: Shares from which a class counts.
    """
    for candidate in _candidates(task, question, facts, thresholds):
        if candidate.question == question and candidate.facts[0].tile.digest == facts[0].tile.digest:
            return candidate.answer
    return ""


def answer_all(
    samples: Sequence[Sample], cells: Mapping[str, NDArray[np.float64]], thresholds: Thresholds
) -> list[str]:
    """Answer every sample from the predicted cells of its pictures."""
    facts = {image: predicted_facts(image, cells[image]) for sample in samples for image in sample.images}
    return [
        answer_symbolically(sample.task, question_of(sample), [facts[image] for image in sample.images], thresholds)
        for sample in samples
    ]


def true_cells(samples: Sequence[Sample]) -> dict[str, NDArray[np.float64]]:
    """Return the true shares of the cells of every unturned picture, from the records' ``cell_composition``."""
    known: dict[str, NDArray[np.float64]] = {}
    for sample in samples:
        rows = sample.meta.get("cell_composition")
        if not isinstance(rows, list) or sample.meta.get("augmented"):
            continue
        flat = [cell for row in rows for cell in (row if isinstance(row, list) else [row])]
        if len(flat) != len(sample.images) * GRID * GRID:
            continue
        for place, image in enumerate(sample.images):
            if image not in known:
                own = flat[place * GRID * GRID : (place + 1) * GRID * GRID]
                known[image] = np.array([_shares(cell) for cell in own]).reshape(GRID, GRID, NUM_CLASSES)
    return known


def _candidates(task: str, question: str, facts: Sequence[TileFacts], thresholds: Thresholds) -> Iterator[Candidate]:
    margins = undecided_never(thresholds)
    if task == "two_tile":
        for seed in range(PAIR_SEEDS):
            yield from two_tile(facts, margins, seed)
    elif task == "box":
        yield from box([_outlined(facts[0], _asked_class(question, task))], margins)
    elif task == "amount":
        yield from _amounts(facts[0], _asked_class(question, task), margins)
    elif task == "location":
        yield from RULES[task](_only(facts[0], _asked_class(question, task)), margins)
    elif task in RULES:
        yield from RULES[task](facts[0], caption_margins(thresholds) if task == "caption" else margins)


def _amounts(facts: TileFacts, asked: int, margins: Margins) -> Iterator[Candidate]:
    """Move the asked share to the nearest one that the builder has a word for."""
    for share in sorted(np.linspace(0, 1, 101).tolist(), key=lambda value: abs(value - facts.fractions_C[asked])):
        fractions_C = facts.fractions_C.copy()
        fractions_C[asked] = share
        yield from RULES["amount"](replace(facts, fractions_C=fractions_C), margins)


def _asked_class(question: str, task: str) -> int:
    """Return the class that a question names; the first class when it names none."""
    names = [index for index, name in enumerate(NAMES) if wording.QUESTIONS[task].format(a=name) == question]
    return names[0] if names else 0


def _drawn(shares_GGC: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Fill each cell with pixels of the classes in proportion to their shares, spread evenly over the cell."""
    # The multiples of an odd step run through all pixels of the cell without repeating, far from one another.
    order = (np.arange(CELL_PX * CELL_PX) * 97 % (CELL_PX * CELL_PX) + 0.5) / (CELL_PX * CELL_PX)
    edges_GGC = np.cumsum(shares_GGC, axis=-1)
    labels_GGP = (order[None, None, :, None] > edges_GGC[:, :, None, :]).sum(axis=-1).clip(0, NUM_CLASSES - 1)
    cells = labels_GGP.reshape(GRID, GRID, CELL_PX, CELL_PX).transpose(0, 2, 1, 3)
    labels_HW: NDArray[np.uint8] = cells.reshape(TILE_PX, TILE_PX).astype(np.uint8)
    return labels_HW


def _only(facts: TileFacts, asked: int) -> TileFacts:
    """Leave the asked class alone in the shares, and give it at least one pixel, so that it has a centroid."""
    facts = replace(facts, fractions_C=np.where(np.arange(NUM_CLASSES) == asked, 0.5, 0.0))
    if np.any(facts.labels_HW == asked):
        return facts
    row, column = np.unravel_index(facts.cells_GGC[..., asked].argmax(), (GRID, GRID))
    labels_HW = facts.labels_HW.copy()
    labels_HW[row * CELL_PX + CELL_PX // 2, column * CELL_PX + CELL_PX // 2] = asked
    return replace(facts, labels_HW=labels_HW)


def _outlined(facts: TileFacts, asked: int) -> TileFacts:
    """Make whole cells of the asked class: those that it fills by half, at least its strongest one."""
    share_GG = facts.cells_GGC[..., asked]
    is_asked_GG = share_GG >= min(0.5, float(share_GG.max()))
    other = (asked + 1) % NUM_CLASSES
    labels_GG = np.where(is_asked_GG, asked, other).astype(np.uint8)
    return replace(facts, labels_HW=labels_GG.repeat(CELL_PX, axis=0).repeat(CELL_PX, axis=1))


def _shares(row: JsonValue) -> list[float]:
    shares = row if isinstance(row, dict) else {}
    return [float(str(shares.get(name, 0.0))) for name in NAMES]
