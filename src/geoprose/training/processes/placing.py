"""Position ids of rows that hold several sequences, for schemes that give visual tokens ids of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geoprose.data.collator import PREFIX_SEGMENT, Row
from geoprose.models.inputs import TextInputs, Visuals
from geoprose.models.parts.positions.segments import SegmentPositions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.layout.visual import VisualLayout


def place(row: Row, system: Any, layouts: Sequence[VisualLayout]) -> None:
    """Write ``row.placed``: the ids that the system's own scheme gives the row, its branches going on from the prefix.

    Does nothing where ids are counted one by one, or where the model must draw them (V2PE in training).

    Args:
        row: A conversation, or a prefix that holds all visuals, and branches.
        system: Whose position scheme is asked.
        layouts: Of the row's visuals, in order.
    """
    positions = system.model.model.positions
    if not isinstance(positions, SegmentPositions):
        return
    processor = system.processor
    size = row.segments.count(PREFIX_SEGMENT)
    is_visual_1T = torch.tensor([row.input_ids[:size]]) == processor.image_token_id
    text = TextInputs(torch.zeros(1, size, 0), is_visual_1T, None, 0)
    ids = positions.build(text, _visuals(layouts, processor) if layouts else None)
    assert ids is not None
    placed = ids.reshape(-1, size).T.tolist()
    # Contract: a branch goes on behind the largest id of the prefix, as generated text does.
    (delta,) = {int(value) for value in text.state.values()}
    placed += [[position + delta] * len(placed[0]) for position in row.position_ids[size:]]
    row.placed = [tuple(one) for one in placed]


def _visuals(layouts: Sequence[VisualLayout], processor: Any) -> Visuals:
    counts = [sum(processor.image_segments(layout)) for layout in layouts]
    return Visuals([torch.zeros(count, 0) for count in counts], layouts, processor.num_visual_tokens)
