"""Turn chosen questions into neutral Samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from geoprose.core.types import GeoRef, JsonValue, Message, Sample
from geoprose.data.world.classes import NAMES, NUM_CLASSES
from geoprose.data.world.tiles import GRID, Tile, TileFacts, tile_georef
from geoprose.data.world.wording import BOX_CODEC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from geoprose.data.world.balance import Candidate
    from geoprose.data.world.split import SplitName

IMAGE_MARK_LINE = "<image>\n"

DECIMALS = 3
"""A cell of 16 x 16 pixels resolves 1/256 of its area."""


def to_samples(chosen: Iterable[Candidate], split: SplitName, globe: GeoRef) -> list[Sample]:
    """Make one Sample per question, ordered by tile so that questions of one picture stand together."""
    ordered = sorted(chosen, key=lambda candidate: ([facts.tile.id for facts in candidate.facts], candidate.key))
    shown = {facts.tile: facts for candidate in ordered for facts in candidate.facts}
    described = {tile: _describe(facts) for tile, facts in shown.items()}
    return [
        _to_sample(candidate, f"{split}-{number:05d}", split, globe, described)
        for number, candidate in enumerate(ordered)
    ]


def conversations(samples: Sequence[Sample]) -> list[Sample]:
    """Put the questions about the same pictures into one conversation, as LLaVA and GeoChat train on them.

    The image marks stand in the first turn. Label facts are left out; ``tasks`` has one entry a question.
    """
    groups: dict[tuple[str, ...], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.images, []).append(sample)
    return [_conversation(f"{group[0].split}-{number:05d}", group) for number, group in enumerate(groups.values())]


def _conversation(sample_id: str, group: Sequence[Sample]) -> Sample:
    first = group[0]
    marks = IMAGE_MARK_LINE * len(first.images)
    later = [
        replace(message, text=message.text.removeprefix(marks)) for sample in group[1:] for message in sample.messages
    ]
    meta: dict[str, JsonValue] = {
        "tile": first.meta["tile"],
        "tasks": [sample.task for sample in group],
        "box_codec": BOX_CODEC,
    }
    return replace(first, id=sample_id, messages=(*first.messages, *later), task="", meta=meta)


@dataclass(frozen=True)
class _Described:
    composition: dict[str, JsonValue]
    cells: list[JsonValue]


def _describe(facts: TileFacts) -> _Described:
    cells_PC = facts.cells_GGC.reshape(GRID * GRID, NUM_CLASSES)
    return _Described(shares(facts.fractions_C), [shares(cell) for cell in cells_PC])


def shares(fractions: Iterable[float]) -> dict[str, JsonValue]:
    """Return the classes that occur, with their share of the area, in the order of `NAMES`."""
    return {name: round(float(share), DECIMALS) for name, share in zip(NAMES, fractions, strict=True) if share > 0}


def _to_sample(
    candidate: Candidate, sample_id: str, split: SplitName, globe: GeoRef, described: Mapping[Tile, _Described]
) -> Sample:
    tiles = [facts.tile for facts in candidate.facts]
    return Sample(
        id=sample_id,
        images=tuple(tile.image_path for tile in tiles),
        messages=(
            Message("user", IMAGE_MARK_LINE * len(tiles) + candidate.question),
            Message("assistant", candidate.answer),
        ),
        task=candidate.task,
        split=split,
        georefs=tuple(tile_georef(tile, globe) for tile in tiles),
        meta=_meta(candidate, tiles, [described[tile] for tile in tiles]),
    )


def _meta(candidate: Candidate, tiles: Sequence[Tile], described: Sequence[_Described]) -> dict[str, JsonValue]:
    """Collect what scoring, analysis and lexical alignment need.

    ``cell_composition`` lists the cells row by row from the north-west; the cells of a second picture follow those of
    the first. ``composition`` is a list where there are two pictures.
    """
    compositions: list[JsonValue] = [item.composition for item in described]
    meta: dict[str, JsonValue] = {
        "answer": candidate.answer,
        "answers": list(candidate.accepted),
        "tile": "+".join(tile.id for tile in tiles),
        "composition": compositions[0] if len(compositions) == 1 else compositions,
        "cell_composition": [cell for item in described for cell in item.cells],
    }
    if candidate.box_px is not None:
        meta["box_px"] = list(candidate.box_px)
        meta["box_codec"] = BOX_CODEC
    if candidate.weight is not None:
        meta["weight"] = round(candidate.weight, 4)
    if any(tile.turn for tile in tiles):
        meta["augmented"] = True
    return meta
