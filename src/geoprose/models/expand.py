"""Repeat the visuals of each row of a batch, for beam search and for several answers to one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ProcessingError
from geoprose.layout.arrangements import arrangement_of, num_tokens
from geoprose.models.inputs import SOURCES, VisualInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.layout.visual import VisualLayout


def repeat_rows(inputs: VisualInputs, placeholders_per_row: Sequence[int], times: int, model: Any) -> VisualInputs:
    """Return inputs for a batch in which every row stands ``times`` times in a row.

    Args:
        inputs: Visual inputs of the batch.
        placeholders_per_row: Image tokens of each row of text; says which visuals belong to it.
        times: How often.
        model: The backbone; knows its packer and encoder.

    Raises:
        ProcessingError: If the placeholders of a row are not those of whole visuals.
    """
    source = next(value for name in SOURCES if (value := getattr(inputs, name)) is not None)
    layouts = inputs.layouts(source.shape[0])
    owners = _visuals_per_row(layouts, placeholders_per_row, model)
    rows_of_visual = [model.vision_encoder.num_rows(layout) for layout in layouts]
    features_of_visual = [model.vision_encoder.num_feature_rows(layout) for layout in layouts]
    other_sizes = {"visual_layouts": [1] * len(layouts), "vision_features": features_of_visual}
    repeated = {}
    for name, value in inputs.as_dict().items():
        sizes = other_sizes.get(name, rows_of_visual)
        repeated[name] = _repeat(value, sizes, owners, times)
    return VisualInputs(**repeated)


def _visuals_per_row(layouts: Sequence[VisualLayout], placeholders_per_row: Sequence[int], model: Any) -> list[int]:
    """Return how many visuals, in batch order, belong to each row."""
    arrangement = arrangement_of(model.config.merging()[0])
    counts = [num_tokens(arrangement, layout, model.num_visual_tokens) for layout in layouts]
    owned, place = [], 0
    for placeholders in placeholders_per_row:
        start = place
        while placeholders > 0 and place < len(counts):
            placeholders -= counts[place]
            place += 1
        if placeholders != 0:
            raise ProcessingError(
                "A row of text holds image tokens of a part of a picture; do not cut inside an image."
            )
        owned.append(place - start)
    return owned


def _repeat(value: Tensor, sizes: Sequence[int], owned: Sequence[int], times: int) -> Tensor:
    per_visual = torch.split(value, list(sizes))
    parts, place = [], 0
    for count in owned:
        parts += list(per_visual[place : place + count]) * times
        place += count
    return torch.cat(parts)
