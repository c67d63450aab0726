"""What the stages of one run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from geoprose.assets.cache import cache_root
from geoprose.core.errors import ConfigError
from geoprose.data.neutral import read_samples
from geoprose.layout.resolutions import ONE_TILE
from geoprose.training.access import pictures_train
from geoprose.training.freeze import FreezeReport, apply_freeze_plan
from geoprose.training.init_from import find_weights
from geoprose.training.logs.progress import display
from geoprose.training.logs.trackers import check_trackers
from geoprose.training.lora import add_lora, merge_lora
from geoprose.training.losses import LOSSES
from geoprose.training.pictures.features import BlankFeatures, FeatureStore, build_features, feature_key
from geoprose.training.pictures.images import ImageScan, scan_images
from geoprose.training.pictures.vision import Vision, files_of
from geoprose.training.precision import apply_precision
from geoprose.training.processes import distributed
from geoprose.training.processes.signals import StopRequest
from geoprose.training.quantise import restore
from geoprose.training.rows.batches import LoadedSource, load_source
from geoprose.training.rows.isolation import check_packing
from geoprose.training.system_spec import spec_of
from geoprose.training.teacher import Teacher, check_pictures, distils, load_teacher

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from geoprose.systems.build import System
    from geoprose.training.pictures.visuals import VisualFiles
    from geoprose.training.specs.recipe import RecipeSpec
    from geoprose.training.specs.stage import StageSpec

STAGES_FOLDER, FEATURES_FOLDER = "stages", "features"


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
        cache_names: Names of the feature caches, by system and stage.
    """

    recipe: RecipeSpec
    out_dir: Path
    system: Any
    sources: dict[str, list[LoadedSource]]
    teacher: Teacher | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    scan: ImageScan = field(default_factory=lambda: ImageScan({}, {}))
    cache_names: dict[tuple[int, int], str] = field(default_factory=dict)

    def stage_folder(self, index: int) -> Path:
        """Return the folder of a stage."""
        return self.out_dir / STAGES_FOLDER / f"{index + 1:02d}-{self.recipe.stages[index].name}"

    def check_stop(self, together: bool = False) -> None:
        """Raise when a signal asked the run to stop.

        Args:
            together: All processes call this at the same place, so that they stop at the same place.
        """
        if together:
            self.stop.signal_number = distributed.largest_of_ranks(self.stop.signal_number or 0) or None
        if self.stop:
            raise self.stop.error(self.how_to_continue())

    def how_to_continue(self) -> str:
        """Return the sentence that ends the message of a stopped run."""
        return f"Continue with the same command and --resume (folder {self.out_dir})."

    def scan_images(self) -> None:
        """Look at every image once and leave out the samples of unreadable ones."""
        paths = dict.fromkeys(path for loaded in self.sources.values() for source in loaded for path in source.images())
        encoded: Container[str] = ()
        if self.recipe.features.cache == "user" and self.recipe.images != "blank":
            encoded = FeatureStore(cache_root() / FEATURES_FOLDER / self._cache_name(0, self.system))
        self.scan = scan_images(paths, self.recipe.image_policy.max_unreadable_fraction, encoded)
        for name, loaded in self.sources.items():
            self.sources[name] = [source.without(self.scan.unreadable) for source in loaded]

    def vision(self, index: int) -> Vision:
        """Return the pictures of a stage: cached features where the encoder is frozen, pixels where it trains."""
        trains = pictures_train(self.system.model)
        if self.recipe.images == "blank":
            if trains:
                raise ConfigError("images: blank replaces the encoder's features, so the vision encoder cannot train.")
            return Vision(self.scan, BlankFeatures(self.system))
        reads_pixels = any(LOSSES.get(loss.type).needs_pixels for loss in self.recipe.stages[index].losses)
        if trains or reads_pixels or self.recipe.features.cache == "none":
            return Vision(self.scan, None)
        return Vision(self.scan, self._features(index, self.system))

    def stage_teacher(self, index: int) -> Teacher | None:
        """Return the teacher as a stage's losses see it: with features of its own where its encoder is another one."""
        needed = any(loss.needs_teacher for loss in self.recipe.stages[index].losses)
        if self.teacher is None or not needed:
            return self.teacher
        if self.recipe.images == "blank":
            return self.teacher.seeing(Vision(self.scan, BlankFeatures(self.teacher.system)))
        trains = pictures_train(self.system.model)
        if not trains and self._cache_name(index, self.teacher.system) == self._cache_name(index, self.system):
            return self.teacher
        return self.teacher.seeing(Vision(self.scan, self._features(index, self.teacher.system)))

    def visual_keys(self, index: int) -> list[str]:
        """Return the keys of a stage's pictures in the feature cache, each once, in order of appearance."""
        return list(self._visuals(index, self.system))

    def _visuals(self, index: int, system: System) -> dict[str, VisualFiles]:
        """Return the stage's pictures and videos by key, as ``system`` tells them apart, in order of appearance."""
        found: dict[str, VisualFiles] = {}
        for source in self.sources[self.recipe.stages[index].name]:
            for sample in source.samples:
                found.update((files.key(self.scan.digests), files) for files in files_of(system, sample, source.root))
        return found

    def _cache_name(self, index: int, system: System) -> str:
        """Return the name of a system's features; its encoder is hashed once a stage, between which it may change."""
        # Why not once a run for both: a stage may train the encoder, round it or take it from elsewhere.
        owner = (id(system), index if system is self.system else -1)
        if owner not in self.cache_names:
            self.cache_names[owner] = feature_key(system, self.recipe.features)
        return self.cache_names[owner]

    def _features(self, index: int, system: System) -> FeatureStore:
        spec, visuals = self.recipe.features, self._visuals(index, system)
        root = (self.out_dir if spec.cache == "run" else cache_root()) / FEATURES_FOLDER
        total = len(visuals) if distributed.is_main() else 0
        with distributed.main_first(), display("encoding images", total, unit="image") as shown:

            def progress(done: int, total: int) -> None:
                shown.update(len(visuals) - total + done)
                self.check_stop()

            return build_features(system, visuals, spec, FeatureStore(root / self._cache_name(index, system)), progress)


def open_session(recipe: RecipeSpec, data_dir: Path | None, out_dir: Path) -> Session:
    """Load data and system; write nothing.

    Raises:
        ConfigError: If there is no data directory, or a stage's globs match nothing.
        DataError: If a source is missing.
    """
    check_losses_fit(spec_of(recipe.system, recipe.scale), recipe.stages)
    folder = data_dir or (Path(recipe.data_dir) if recipe.data_dir else None)
    if folder is None:
        raise ConfigError(f"Recipe {recipe.name} names no data_dir. Say where the data is with --data DIR.")
    read = cache(read_samples)  # stages and sources often name the same file
    sources = {stage.name: [load_source(source, folder, read) for source in stage.data] for stage in recipe.stages}
    for stage in recipe.stages:
        if stage.init_from:
            find_weights(stage.init_from)
    check_trackers(recipe.trackers)
    if recipe.num_threads is not None:
        torch.set_num_threads(recipe.num_threads)
    system = starting_system(recipe)
    check_packing(system, recipe.stages)
    check_globs(system.model, recipe.stages)
    teacher = load_teacher(recipe.teacher, system)
    if teacher is not None:
        check_pictures(teacher.system, system if distils(recipe) else None)
        teacher.model.to(distributed.device())
    system.model.to(distributed.device())
    return Session(recipe, out_dir, system, sources, teacher)


def starting_system(recipe: RecipeSpec) -> System[Any]:
    """Return the system that training starts from: a saved folder as it is, a preset at the recipe's scale.

    Raises:
        PresetError: If there is neither.
        ConfigError: If a folder is to be made tiny.
    """
    from geoprose.systems.build import build_system
    from geoprose.systems.load import load_system

    if not Path(recipe.system).is_dir():
        return build_system(recipe.system, scale=recipe.scale, seed=recipe.seed)
    if recipe.scale != "full":
        raise ConfigError(f"{recipe.system} is a saved system; scale: {recipe.scale} goes with presets only.")
    return load_system(recipe.system)


def check_losses_fit(system: Any, stages: Sequence[StageSpec]) -> None:
    """Refuse a loss that is made for another kind of system or cannot be accumulated, before any data is read.

    Args:
        system: Spec of the system that trains.
        stages: What it trains on.

    Raises:
        ConfigError: If there is one.
    """
    for stage in stages:
        for spec in stage.losses:
            loss = LOSSES.get(spec.type)
            if system.kind not in loss.kinds:
                raise ConfigError(
                    f"Stage {stage.name}: loss {spec.type} trains systems of kind {', '.join(loss.kinds)}; "
                    f"{system.name} is of kind {system.kind}."
                )
            if loss.one_tile and system.resolution.type not in ONE_TILE:
                raise ConfigError(
                    f"Stage {stage.name}: loss {spec.label} compares a whole picture with what belongs to it, but "
                    f"resolution {system.resolution.type} of {system.name} may cut a picture into several tiles. Use a "
                    f"system whose resolution is {', '.join(sorted(ONE_TILE))}, or leave the loss out."
                )
            if loss.judges_answers and stage.too_long == "truncate":
                raise ConfigError(
                    f"Stage {stage.name}: {spec.label} learns which whole answer is better, and the beginning of an "
                    "answer is another one than was judged. Set too_long: skip, which leaves such records out and "
                    "counts them, or error."
                )
            if loss.whole_batch and stage.accumulation > 1:
                raise ConfigError(
                    f"Stage {stage.name}: {spec.label} compares the rows of a micro-batch with each other, so "
                    f"{stage.accumulation} micro-batches of {stage.batch_size} are another loss than one of "
                    f"{stage.accumulation * stage.batch_size}. Set accumulation: 1, the batch_size that is meant, and "
                    "chunk_pairs where memory is short and the loss has it."
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
    if stage.gradient_checkpointing:
        # Why not reentrant: it needs an input with a gradient, which a frozen embedding does not give.
        model.activation_checkpointing_enable({"use_reentrant": False})
    return report


def leave_stage(model: Any, stage: StageSpec) -> None:
    """Merge the adapters, unless the stage keeps them apart, and free the gradients."""
    if stage.lora is None or stage.lora.merge:
        merge_lora(model)
    else:
        restore(model)
    if model.is_activation_checkpointing:
        model.activation_checkpointing_disable()
    for parameter in model.parameters():
        parameter.grad = None
        parameter.requires_grad_(False)
    model.eval()
