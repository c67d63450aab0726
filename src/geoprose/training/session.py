"""What the stages of one run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from geoprose.assets.cache import cache_root
from geoprose.core.errors import ConfigError
from geoprose.training.batches import LoadedSource, load_source
from geoprose.training.features import BlankFeatures, FeatureStore, build_features
from geoprose.training.freeze import FreezeReport, apply_freeze_plan
from geoprose.training.images import ImageScan, scan_images
from geoprose.training.lora import add_lora, merge_lora
from geoprose.training.precision import apply_precision
from geoprose.training.progress import display
from geoprose.training.signals import StopRequest
from geoprose.training.teacher import load_teacher
from geoprose.training.vision import Vision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.systems.build import System
    from geoprose.training.specs.recipe import RecipeSpec
    from geoprose.training.specs.stage import StageSpec

STAGES_FOLDER = "stages"
_ENCODER = "vision_encoder"


@dataclass
class Session:
    """A run in progress.

    Attributes:
        recipe: The resolved recipe.
        out_dir: Folder of the run.
        system: Model and processor, changed stage by stage.
        sources: Loaded sources of each stage.
        teacher: The recipe's teacher, frozen; None without one.
        stop: Set by a signal.
        scan: Digests of all images.
    """

    recipe: RecipeSpec
    out_dir: Path
    system: Any
    sources: dict[str, list[LoadedSource]]
    teacher: Any = None
    stop: StopRequest = field(default_factory=StopRequest)
    scan: ImageScan = field(default_factory=lambda: ImageScan({}, {}))

    def stage_folder(self, index: int) -> Path:
        """Return the folder of a stage."""
        return self.out_dir / STAGES_FOLDER / f"{index + 1:02d}-{self.recipe.stages[index].name}"

    def check_stop(self) -> None:
        """Raise when a signal asked the run to stop."""
        if self.stop:
            raise self.stop.error(self.how_to_continue())

    def how_to_continue(self) -> str:
        """Return the sentence that ends the message of a stopped run."""
        return f"Continue with the same command and --resume (folder {self.out_dir})."

    def scan_images(self) -> None:
        """Look at every image once and leave out the samples of unreadable ones."""
        paths = dict.fromkeys(path for loaded in self.sources.values() for source in loaded for path in source.images())
        self.scan = scan_images(paths, self.recipe.image_policy.max_unreadable_fraction)
        for name, loaded in self.sources.items():
            self.sources[name] = [source.without(self.scan.unreadable) for source in loaded]

    def vision(self, index: int) -> Vision:
        """Return the pictures of a stage: cached features where the encoder is frozen, pixels where it trains."""
        encoder = self.system.model.model.vision_encoder
        trains = any(parameter.requires_grad for parameter in encoder.parameters())
        if self.recipe.images == "blank":
            if trains:
                raise ConfigError("images: blank replaces the encoder's features, so the vision encoder cannot train.")
            return Vision(self.scan, BlankFeatures(encoder))
        if trains:
            return Vision(self.scan, None)
        images = {self.scan.digests[path]: path for path in self._paths(index)}
        return Vision(self.scan, self._features(images))

    def digests(self, index: int) -> list[str]:
        """Return the digests of a stage's images, each once, in order of appearance."""
        return list(dict.fromkeys(self.scan.digests[path] for path in self._paths(index)))

    def _paths(self, index: int) -> list[Path]:
        """Return the stage's images, each once, in order of appearance."""
        return list(
            dict.fromkeys(p for source in self.sources[self.recipe.stages[index].name] for p in source.images())
        )

    def _features(self, images: dict[str, Path]) -> FeatureStore:
        spec = self.recipe.features
        root = (self.out_dir if spec.cache == "run" else cache_root()) / "features"
        with display("encoding images", len(images), unit="image") as shown:

            def progress(done: int, total: int) -> None:
                shown.update(len(images) - total + done)
                self.check_stop()

            return build_features(self.system, images, spec, root, progress)


def open_session(recipe: RecipeSpec, data_dir: Path | None, out_dir: Path) -> Session:
    """Load data and system; write nothing.

    Raises:
        ConfigError: If there is no data directory, or a stage's globs match nothing.
        DataError: If a source is missing.
    """
    from geoprose.systems.build import build_system
    from geoprose.systems.load import answering

    folder = data_dir or (Path(recipe.data_dir) if recipe.data_dir else None)
    if folder is None:
        raise ConfigError(f"Recipe {recipe.name} names no data_dir. Say where the data is with --data DIR.")
    sources = {stage.name: [load_source(source, folder) for source in stage.data] for stage in recipe.stages}
    if recipe.num_threads is not None:
        torch.set_num_threads(recipe.num_threads)
    system = answering(build_system(recipe.system, scale=recipe.scale, seed=recipe.seed))
    check_engine_takes(system)
    check_globs(system.model, recipe.stages)
    return Session(recipe, out_dir, system, sources, load_teacher(recipe.teacher, system))


def check_engine_takes(system: System) -> None:
    """Refuse a system that the engine cannot feed yet, before any data is read.

    Raises:
        ConfigError: If it is no decoder-only composite, or a picture becomes more than one tile.
    """
    spec: Any = system.spec
    if spec.kind != "composite" or system.processor.condition_tokenizer is not None:
        raise ConfigError(
            f"System {spec.name} ({spec.kind.replace('_', ' ')}) cannot be trained by a recipe yet: recipes feed "
            "composites whose connector reads pictures alone."
        )
    if spec.resolution.type != "fixed" or spec.packer.type != "flat":
        raise ConfigError(
            f"System {spec.name} cuts pictures by {spec.resolution.type} and packs them by {spec.packer.type}; recipes "
            "train systems with resolution fixed and packer flat so far. Change both in a preset of your own."
        )


def check_globs(model: Any, stages: Sequence[StageSpec]) -> None:
    """Fail early when a stage's globs match nothing; leaves every parameter trainable as it was."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for stage in stages:
            if stage.trainable:
                apply_freeze_plan(model, stage.trainable)
    finally:
        for parameter, requires_grad in before:
            parameter.requires_grad_(requires_grad)


def enter_stage(model: Any, stage: StageSpec, seed: int) -> FreezeReport:
    """Add adapters, freeze, cast."""
    if stage.lora is not None:
        add_lora(model, stage.lora, seed)
    report = apply_freeze_plan(model, stage.trainable)
    apply_precision(model, stage.precision)
    return report


def leave_stage(model: Any) -> None:
    """Merge the adapters and free the gradients."""
    merge_lora(model)
    for parameter in model.parameters():
        parameter.grad = None
        parameter.requires_grad_(False)
    model.eval()
