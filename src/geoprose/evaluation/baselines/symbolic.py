"""Answer every question type from a predicted map of class shares, with the rules that built the questions.

The answerer sees the predicted shares of the 4 x 4 cells and the question's text; it never sees the truth. What it
scores says how far colour statistics, or a linear reading of the encoder, already go without a language model.
"""

# C classes, G cells along a side, H W pixels of a tile

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geoprose.core.types import JsonValue, Sample
from geoprose.data.world import wording
from geoprose.data.world.classes import NAMES, NUM_CLASSES
from geoprose.data.world.margins import Margins
from geoprose.data.world.pairs import two_tile
from geoprose.data.world.questions import RULES
from geoprose.data.world.tiles import GRID, Tile, TileFacts, facts_of
from geoprose.evaluation.predictions import question_of

TILE_PX = 64
DEFAULT_PRESENT = 0.05
"""Share from which a class counts as there: half way between the builder's absent (0) and present (0.10)."""
_TINY = 1e-9


def undecided_never(present: float = DEFAULT_PRESENT) -> Margins:
    """Return the builder's margins with nothing left undecided: every question gets an answer."""
    return Margins(
        present=present,
        absent=present,
        dominant_lead=0,
        comparison_min=0,
        comparison_lead=0,
        location_min=0,
        location_max=1,
        location_lead=0,
        amount_edge=0,
        pair_lead=0,
        box_min=_TINY,
        box_max=1,
        box_lead=1,
    )


def predicted_facts(name: str, cells_GGC: NDArray[np.float64]) -> TileFacts:
    """Make tile facts from predicted shares: clipped at zero, each cell summing to one."""
    clipped = np.clip(cells_GGC, 0, None) + _TINY
    shares_GGC = clipped / clipped.sum(axis=-1, keepdims=True)
    labels_HW = np.kron(shares_GGC.argmax(-1), np.ones((TILE_PX // GRID, TILE_PX // GRID), dtype=np.int64))
    tile = Tile(0, 0, TILE_PX, name)
    return TileFacts(tile, labels_HW.astype(np.uint8), shares_GGC.mean(axis=(0, 1)), shares_GGC)


def answer_symbolically(task: str, question: str, facts: Sequence[TileFacts], margins: Margins) -> str:
    """Answer one question from predicted facts; empty when no rule makes this question.

    Args:
        task: Question type.
        question: Text without image marks.
        facts: Predicted facts of the pictures, in their order.
        margins: From `undecided_never`.
    """
    if task == "two_tile":
        candidates = two_tile(facts, margins.model_copy(update={"present": _TINY}), 0)
    elif task == "box":
        candidates = RULES[task](_with_region(facts[0], question), margins)
    elif task in RULES:
        candidates = RULES[task](facts[0], margins)
    else:
        return ""
    order = tuple(known.tile.digest for known in facts)
    fitting = (c for c in candidates if c.question == question and tuple(f.tile.digest for f in c.facts) == order)
    found = next(fitting, None)
    return found.answer if found is not None else ""


def answer_all(samples: Sequence[Sample], cells: Mapping[str, NDArray[np.float64]], present: float) -> list[str]:
    """Answer every sample from the predicted cells of its pictures."""
    margins = undecided_never(present)
    facts = {image: predicted_facts(image, cells[image]) for sample in samples for image in sample.images}
    return [
        answer_symbolically(sample.task, question_of(sample), [facts[image] for image in sample.images], margins)
        for sample in samples
    ]


def true_cells(samples: Sequence[Sample]) -> dict[str, NDArray[np.float64]]:
    """Return the true shares of the cells of every unturned picture, from the records' ``cell_composition``."""
    known: dict[str, NDArray[np.float64]] = {}
    for sample in samples:
        rows = sample.meta.get("cell_composition")
        if not isinstance(rows, list) or sample.meta.get("augmented"):
            continue
        for place, image in enumerate(sample.images):
            if image not in known:
                own = rows[place * GRID * GRID : (place + 1) * GRID * GRID]
                known[image] = np.array([_shares(row) for row in own]).reshape(GRID, GRID, NUM_CLASSES)
    return known


def _shares(row: JsonValue) -> list[float]:
    shares = row if isinstance(row, dict) else {}
    return [float(str(shares.get(name, 0.0))) for name in NAMES]


def _with_region(facts: TileFacts, question: str) -> TileFacts:
    """Give the asked class at least its strongest cell, so that there is a region to put a box around."""
    asked = [index for index, name in enumerate(NAMES) if wording.QUESTIONS["box"].format(a=name) == question]
    labels_HW = facts.labels_HW.copy()
    if asked and not np.any(labels_HW == asked[0]):
        row, column = np.unravel_index(facts.cells_GGC[..., asked[0]].argmax(), (GRID, GRID))
        side = TILE_PX // GRID
        labels_HW[row * side : (row + 1) * side, column * side : (column + 1) * side] = asked[0]
    return facts_of(facts.tile, labels_HW)
