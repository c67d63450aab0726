"""Micro-batch k of a stage, ready for the model, as a pure function of k."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from geoprose.core.errors import DataError
from geoprose.core.files import sha256_file
from geoprose.data.collator import Collator, Row
from geoprose.data.mixture import Mixture, Source, Unit, units_of
from geoprose.training.features import Features, preprocess
from geoprose.training.images import ImageScan, read_picture
from geoprose.training.packing import RowOptions, encode_unit, shared_question
from geoprose.training.sampler import BatchPlan

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from geoprose.core.types import Sample
    from geoprose.training.losses.base import StageLoss
    from geoprose.training.spec import SourceSpec, StageSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedSource:
    """Samples of one source after filters, and where its images lie."""

    spec: SourceSpec
    samples: tuple[Sample, ...]
    root: Path
    records_path: Path

    def images(self) -> Iterator[Path]:
        """Yield the path of every image, each once."""
        for image in dict.fromkeys(image for sample in self.samples for image in sample.images):
            yield self.root / image

    def without(self, unreadable: Container[Path]) -> LoadedSource:
        """Leave out the samples that show an unreadable image."""
        bad = {path.relative_to(self.root).as_posix() for path in self.images() if path in unreadable}
        kept = tuple(s for s in self.samples if bad.isdisjoint(s.images))
        return LoadedSource(self.spec, kept, self.root, self.records_path)


def load_source(spec: SourceSpec, data_dir: Path) -> LoadedSource:
    """Read the samples of a source.

    Raises:
        DataError: If the file is missing or nothing is left after the filters.
    """
    from geoprose.data.neutral import read_samples

    path = data_dir / spec.path
    if not path.is_file():
        raise DataError(f"{path} does not exist. Give the data directory with --data, or build it first.")
    samples = [sample for sample in read_samples(path) if not spec.tasks or sample.task in spec.tasks]
    low, high = spec.min_images or 0, spec.max_images or math.inf
    samples = [sample for sample in samples if low <= len(sample.images) <= high][: spec.limit]
    if not samples:
        raise DataError(f"{path} holds no sample that the source's tasks, min_images and max_images let through.")
    return LoadedSource(spec, tuple(samples), path.parent, path)


def data_hashes(sources: Sequence[LoadedSource]) -> dict[str, str]:
    """Return the SHA-256 of each records file, for the run record."""
    return {source.spec.path: sha256_file(source.records_path) for source in sources}


def build_mixture(stage: StageSpec, sources: Sequence[LoadedSource], seed: int) -> Mixture:
    """Return the stage's units and their order."""
    built = [_source(stage, source) for source in sources]
    rest = sum(source.num_slots for source, loaded in zip(built, sources, strict=True) if loaded.spec.share is None)
    left = 1.0 - sum(loaded.spec.share or 0.0 for loaded in sources)
    for place, loaded in enumerate(sources):
        if loaded.spec.share is not None:
            weight = loaded.spec.share / left * rest / len(built[place].units)
            built[place] = replace(built[place], weight=weight)
    return Mixture(built, seed)


def _source(stage: StageSpec, source: LoadedSource) -> Source:
    can_share = (lambda sample: shared_question(sample) is not None) if stage.packing == "shared_prefix" else None
    units = tuple(units_of(source.samples, str(source.root), can_share))
    spec = source.spec
    return Source(units, spec.weight, spec.draw, spec.task_weights, spec.answers_per_image)


@dataclass(frozen=True)
class Vision:
    """Where the pictures of a row come from.

    Attributes:
        scan: Digests of the images.
        store: Cached features, or None when the encoder trains and pixels are needed.
    """

    scan: ImageScan
    store: Features | None

    @property
    def key(self) -> str:
        """Name of the model's argument."""
        return "pixel_values" if self.store is None else "vision_features"

    def load(self, system: Any, paths: Sequence[Path]) -> Tensor:
        """Return features (n, P, E) or pixels (n, C, H, W) of the images."""
        if self.store is None:
            return preprocess(system, [read_picture(path) for path in paths])
        return torch.stack([self.store.get(self.scan.digests[path]) for path in paths])


class StageBatches(Dataset[dict[str, Tensor]]):
    """All micro-batches of a stage.

    Args:
        stage: The entry of the recipe.
        system: Model and processor.
        mixture: Units and their order.
        vision: Source of pictures.
        losses: They say what a batch must hold.
    """

    def __init__(
        self, stage: StageSpec, system: Any, mixture: Mixture, vision: Vision, losses: Sequence[StageLoss]
    ) -> None:
        self.stage = stage
        self.system = system
        self.vision = vision
        self.losses = losses
        self.needs_text = any(loss.needs_text for loss in losses)
        # Contract: the connector's parameters give the dtype of what it reads.
        self.dtype = next(system.model.model.connector.parameters()).dtype
        self.options = RowOptions(stage.packing == "shared_prefix", stage.max_row_tokens, stage.end_token_share)
        length = self._length if stage.packing == "length_grouped" else None
        self.plan = BatchPlan(mixture, stage.batch_size, length)
        self.collate = Collator(system.processor.tokenizer.pad_token_id, vision.key, stage.join_rows)

    def __len__(self) -> int:
        """Return the micro-batches of the whole stage."""
        return self.stage.steps * self.stage.accumulation

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return micro-batch ``number``."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        batch = self.collate([self.row(unit) for unit in self.plan.micro_batch(number)])
        if self.vision.key in batch:
            batch[self.vision.key] = batch[self.vision.key].to(self.dtype)
        return batch

    def row(self, unit: Unit) -> Row:
        """Return one row: tokens, pictures, extra targets."""
        per_image = self.system.processor.num_visual_tokens
        row = self._text(unit, per_image) if self.needs_text else Row([], [], [], [])
        row.num_visual_tokens = per_image
        if unit.images:
            row.vision = self.vision.load(self.system, [Path(unit.root) / image for image in unit.images])
        for loss in self.losses:
            loss.add_targets(row, unit)
        return row

    def _text(self, unit: Unit, per_image: int) -> Row:
        return encode_unit(self.system.processor, unit, [per_image] * len(unit.images), self.options)

    def _length(self, unit: Unit) -> int:
        return len(self._text(unit, self.system.processor.num_visual_tokens).input_ids)
