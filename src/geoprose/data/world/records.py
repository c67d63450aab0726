"""Turn chosen questions into neutral Samples."""

from __future__ import annotations

from collections.abc import Iterable

from geoprose.core.types import GeoRef, JsonValue, Message, Sample
from geoprose.data.world.balance import Candidate
from geoprose.data.world.classes import NAMES
from geoprose.data.world.split import SplitName
from geoprose.data.world.tiles import GRID, NUM_CLASSES, TileFacts, tile_georef

DECIMALS = 4
"""A cell of 16 x 16 pixels resolves 1/256 of its area."""


def to_samples(chosen: Iterable[Candidate], split: SplitName, globe: GeoRef) -> list[Sample]:
    """Make one Sample per question, ordered by tile so that questions of one picture stand together."""
    ordered = sorted(chosen, key=lambda candidate: ([facts.tile.id for facts in candidate.facts], candidate.key))
    return [_to_sample(candidate, f"{split}-{number:05d}", split, globe) for number, candidate in enumerate(ordered)]


def _to_sample(candidate: Candidate, sample_id: str, split: SplitName, globe: GeoRef) -> Sample:
    marks = "<image>\n" * len(candidate.facts)
    return Sample(
        id=sample_id,
        images=tuple(facts.tile.image_path for facts in candidate.facts),
        messages=(Message("user", marks + candidate.question), Message("assistant", candidate.answer)),
        task=candidate.task,
        split=split,
        georefs=tuple(tile_georef(facts.tile, globe) for facts in candidate.facts),
        meta=_meta(candidate),
    )


def _meta(candidate: Candidate) -> dict[str, JsonValue]:
    """Collect what scoring, analysis and lexical alignment need; lists of pairs run over the pictures in order."""
    tiles = [facts.tile for facts in candidate.facts]
    compositions: list[JsonValue] = [shares(facts.fractions_C) for facts in candidate.facts]
    cells: list[JsonValue] = [cell for facts in candidate.facts for cell in cell_shares(facts)]
    meta: dict[str, JsonValue] = {
        "question": candidate.question,
        "answer": candidate.answer,
        "answers": list(candidate.accepted),
        "tile": "+".join(tile.id for tile in tiles),
        "composition": compositions[0] if len(compositions) == 1 else compositions,
        "cell_composition": cells,
    }
    if candidate.box_px is not None:
        meta["box_px"] = list(candidate.box_px)
    if any(tile.turn for tile in tiles):
        meta["augmented"] = True
    return meta


def shares(fractions: Iterable[float]) -> dict[str, JsonValue]:
    """Return the classes that occur, with their share of the area, in the order of `NAMES`."""
    return {name: round(float(share), DECIMALS) for name, share in zip(NAMES, fractions, strict=True) if share > 0}


def cell_shares(facts: TileFacts) -> list[JsonValue]:
    """Return the shares of the cells row by row from the north-west; classes that do not occur are left out."""
    return [shares(cell) for cell in facts.cells_GGC.reshape(GRID * GRID, NUM_CLASSES)]
