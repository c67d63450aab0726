"""Micro-batch k of a stage, ready for the model, as a pure function of k."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from geoprose.core.errors import DataError
from geoprose.core.files import sha256_file
from geoprose.data.mixture import Mixture, Source, stated_weight, units_of
from geoprose.data.neutral import read_samples
from geoprose.training.feeds import FEEDS, feed_of
from geoprose.training.feeds.base import Feed, FeedContext
from geoprose.training.losses import LOSSES
from geoprose.training.processes import distributed
from geoprose.training.rows.limits import TooLong, fit_sources
from geoprose.training.rows.packing import RowOptions, shared_question
from geoprose.training.rows.rows import RowEncoder
from geoprose.training.rows.sampler import BatchPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.training.losses.base import StageLoss
    from geoprose.training.pictures.vision import Vision
    from geoprose.training.specs.data import SourceSpec
    from geoprose.training.specs.stage import StageSpec

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


def load_source(
    spec: SourceSpec, data_dir: Path, read: Callable[[Path], Sequence[Sample]] = read_samples
) -> LoadedSource:
    """Read the samples of a source.

    Args:
        spec: The entry of the recipe.
        data_dir: Folder that its path is relative to.
        read: Returns the samples of a file.

    Raises:
        DataError: If the file is missing, nothing is left after the filters, or a weight is no number.
    """
    path = data_dir / spec.path
    if not path.is_file():
        raise DataError(f"{path} does not exist. Give the data directory with --data, or build it first.")
    samples = [sample for sample in read(path) if not spec.tasks or sample.task in spec.tasks]
    low, high = spec.min_images or 0, spec.max_images or math.inf
    samples = [sample for sample in samples if low <= len(sample.images) <= high]
    if spec.min_weight is not None:
        samples = _at_least(samples, spec.min_weight)
    samples = samples[: spec.limit]
    if not samples:
        raise DataError(
            f"{path} holds no sample that the source's tasks, min_images, max_images and min_weight let through."
        )
    return LoadedSource(spec, tuple(samples), path.parent, path)


def _at_least(samples: Sequence[Sample], least: float) -> list[Sample]:
    """Return the samples of images that have one of that weight, those of less weight left out."""
    weighed = [(sample, stated_weight(sample)) for sample in samples]
    images = {sample.images for sample, weight in weighed if weight is not None and weight >= least}
    return [s for s, weight in weighed if s.images in images and (weight is None or weight >= least)]


def data_hashes(sources: Sequence[LoadedSource]) -> dict[str, str]:
    """Return the SHA-256 of each records file, for the run record."""
    return {source.spec.path: sha256_file(source.records_path) for source in sources}


def build_mixture(stage: StageSpec, sources: Sequence[LoadedSource], seed: int) -> Mixture:
    """Return the stage's units and their order.

    Raises:
        DataError: If a source is left without samples, for instance because none of its pictures can be read, or is to
            give its heaviest samples and none has a weight.
    """
    built = [_source(stage, source) for source in sources]
    rest = sum(source.num_slots for source, loaded in zip(built, sources, strict=True) if loaded.spec.share is None)
    left = 1.0 - sum(loaded.spec.share or 0.0 for loaded in sources)
    for place, loaded in enumerate(sources):
        if loaded.spec.share is not None:
            weight = loaded.spec.share / left * rest / len(built[place].units)
            built[place] = replace(built[place], weight=weight)
    if stage.mixing_temperature is not None:
        built = _tempered(built, stage.mixing_temperature)
    return Mixture(built, seed)


def _tempered(sources: Sequence[Source], temperature: float) -> list[Source]:
    """Return the sources with weights that visit them in proportion to (slots of an epoch) ** (1 / temperature)."""
    slots = [source.num_slots for source in sources]
    parts = [count ** (1.0 / temperature) for count in slots]
    rows = [part / sum(parts) * sum(slots) for part in parts]
    return [replace(source, weight=count / len(source.units)) for source, count in zip(sources, rows, strict=True)]


def _source(stage: StageSpec, source: LoadedSource) -> Source:
    can_share = (lambda sample: shared_question(sample) is not None) if stage.packing == "shared_prefix" else None
    units = tuple(units_of(source.samples, str(source.root), can_share))
    spec = source.spec
    if spec.draw == "heaviest" and not any("weight" in sample.meta for sample in source.samples):
        raise DataError(
            f"{source.records_path}: `draw: heaviest` takes each picture's best samples, and none has meta['weight']. "
            "Build the data again (`geoprose data build scene-captions` writes weights), or set another draw."
        )
    weight = spec.weight if spec.cap is None or not units else min(spec.weight, spec.cap / len(units))
    return Source(units, weight, spec.draw, spec.task_weights, spec.answers_per_image)


class StageBatches(Dataset[dict[str, Tensor]]):
    """All micro-batches of a stage.

    Args:
        stage: The entry of the recipe.
        system: Model and processor.
        mixture: Units and their order.
        vision: Source of pictures.
        losses: They say what a batch must hold, and which feed makes it.

    Raises:
        ConfigError: If two losses need batches of different kinds.
    """

    def __init__(
        self, stage: StageSpec, system: Any, mixture: Mixture, vision: Vision, losses: Sequence[StageLoss]
    ) -> None:
        self.stage = stage
        self.mixture = mixture
        self.feed: Feed = feed_of(losses)(FeedContext(stage, system, vision, tuple(losses)))
        length = self.feed.length if stage.packing in ("length_grouped", "packed") else None
        capacity = stage.max_row_tokens if stage.packing == "packed" else None
        self.plan = BatchPlan(mixture, stage.batch_size, length, capacity)

    def __len__(self) -> int:
        """Return the micro-batches of the whole stage, of all processes."""
        return self.stage.steps * self.stage.accumulation * distributed.world_size()

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        """Return micro-batch ``number``."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        batch = self.feed.batch(self.plan.micro_batch(number))
        batch["number"] = torch.tensor(number)
        return batch


def sources_that_fit(
    stage: StageSpec, system: Any, vision: Vision, sources: Sequence[LoadedSource]
) -> tuple[Sequence[LoadedSource], TooLong | None]:
    """Apply the stage's ``too_long`` where text is read; return the sources that are left and what happened.

    Raises:
        DataError: See ``fit_sources``.
    """
    losses = [LOSSES.get(spec.type) for spec in stage.losses]
    feed = FEEDS.get(losses[0].feed)
    if not feed.has_limit or not any(loss.needs_text for loss in losses):
        return sources, None
    return fit_sources(stage, RowEncoder(system, vision, RowOptions()), sources, feed.texts)
