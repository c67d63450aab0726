"""Where the pictures of a batch come from: cached features, or pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from geoprose.layout.modalities import input_name
from geoprose.layout.resolutions import FixedResolution, SampleResolution, resolution_of
from geoprose.training.access import picture_encoder
from geoprose.training.pictures.features import Features, preprocess
from geoprose.training.pictures.images import ImageScan, picture_size
from geoprose.training.pictures.visuals import VisualFiles, visuals_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from geoprose.core.types import Sample
    from geoprose.layout.visual import Plan


@dataclass(frozen=True)
class Vision:
    """Where the pictures of a row come from.

    Attributes:
        scan: Digests and sizes of the images.
        store: Cached features, or None when the encoder trains and pixels are needed.
    """

    scan: ImageScan
    store: Features | None
    _planned: dict[int, Callable[[tuple[tuple[int, ...], ...]], list[Plan]]] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """Name of the input that holds the pictures."""
        return "pixel_values" if self.store is None else "vision_features"

    def load(self, system: Any, paths: Sequence[Path]) -> Tensor:
        """Return the features (N, P, E) or pixels (N, C, H, W) of pictures that each stand alone."""
        return self.inputs(system, [VisualFiles((path,)) for path in paths])[self.key]

    def inputs(self, system: Any, files: Sequence[VisualFiles]) -> dict[str, Tensor]:
        """Return what the visual half reads of the visuals of a sample: pixels or cached features, and their layouts.

        Raises:
            DataError: If a picture is missing or damaged.
        """
        if not files:
            return {}
        if self.store is None:
            return preprocess(system, files)
        layouts = [plan.layout for plan in self.plans(system, files)]
        encoder = picture_encoder(system.model)
        rows = [
            self.store.rows(file.key(self.scan.digests), encoder.num_feature_rows(layout))
            for file, layout in zip(files, layouts, strict=True)
        ]
        return {"vision_features": torch.cat(rows), "visual_layouts": torch.tensor(layouts)}

    def plans(self, system: Any, files: Sequence[VisualFiles]) -> list[Plan]:
        """Return what each visual becomes; no picture is decoded, sizes come from the scan or from headers."""
        processor = system.processor.image_processor
        if _traits(system).is_one_tile and not any(file.is_video for file in files):
            # Why: one tile whatever the size, so that lengths are known where the pictures are not there yet.
            sizes: tuple[tuple[int, ...], ...] = tuple(self.scan.sizes.get(file.paths[0], (1, 1)) for file in files)
        else:
            sizes = tuple(self._size(file) for file in files)
        if id(processor) not in self._planned:
            self._planned[id(processor)] = lru_cache(maxsize=4096)(processor.plan_sample)
        return self._planned[id(processor)](sizes)

    def _size(self, file: VisualFiles) -> tuple[int, ...]:
        size = self.scan.sizes.get(file.paths[0]) or picture_size(file.paths[0])
        return (*size, len(file.paths)) if file.is_video else size


def files_of(system: Any, sample: Sample, root: Path) -> list[VisualFiles]:
    """Return the visuals of a sample as this system tells them apart."""
    return visuals_of(sample, root, _traits(system).counts_pictures)


class _Traits(NamedTuple):
    """What a system's resolution looks at.

    Attributes:
        is_one_tile: One tile for a picture of any size.
        counts_pictures: A picture is cut otherwise where more stand in its sample.
    """

    is_one_tile: bool
    counts_pictures: bool


def _traits(system: Any) -> _Traits:
    return _traits_of(json.dumps(system.processor.image_processor.resolution))


@lru_cache(maxsize=64)
def _traits_of(resolution: str) -> _Traits:
    # Why remember: this is asked for every visual, and protocols are slow to check.
    planner = resolution_of(json.loads(resolution))
    return _Traits(type(planner) is FixedResolution, isinstance(planner, SampleResolution))


def in_model_dtypes(batch: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """Bring what the visual half reads to the dtype of the part that reads it; whole numbers stay."""
    half = model.model
    readers = {"pixel_values": half.vision_encoder, "high_res_pixel_values": half.vision_encoder}
    # Contract: the connector's parameters give the dtype of what it reads; one without any passes things on.
    has_parameters = next(half.connector.parameters(), None) is not None
    readers["vision_features"] = half.connector if has_parameters else half.language_model
    for modality in half.branches or ():
        readers[input_name(modality)] = half.branches.branch(modality).encoder or half.vision_encoder
    for name, part in readers.items():
        if name in batch and batch[name].is_floating_point():
            batch[name] = batch[name].to(next(part.parameters()).dtype)
    return batch
