"""Any recipe at the size of a test: its own stages, losses and globs over small random parts and drawn data.

It proves that a schedule runs from end to end; what it trains knows nothing. ``geoprose train NAME --tiny`` calls it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.systems.presets import list_presets
from geoprose.training.recipes import load_recipe
from geoprose.training.run import RunResult, run_recipe
from geoprose.training.tiny_data import write_tiny_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geoprose.training.specs.recipe import RecipeSpec

STEPS, BATCH = 2, 2
DATA_FOLDER = "tiny-data"
ROW_TOKENS = 768
"""Tokens of a packed row; a byte tokenizer makes long texts of short ones."""
STAND_IN = "demo"
"""Preset that stands for a system trained earlier on this machine."""


def tiny_overrides(recipe: RecipeSpec) -> list[str]:
    """Return the overrides that shrink a recipe; they stand in the run's record like any others."""
    return [*_of_recipe(recipe), *(line for index in range(len(recipe.stages)) for line in _of_stage(recipe, index))]


def run_tiny(
    recipe: Path | str, overrides: Iterable[str] = (), out_dir: Path | None = None, resume: bool = False
) -> RunResult:
    """Run a recipe at tiny scale, on data drawn into the run's folder.

    Args:
        recipe: Name of a shipped recipe or path of a YAML file.
        overrides: Applied on top of what shrinks it.
        out_dir: Folder of the run; ``runs/<recipe name>-tiny`` by default.
        resume: Go on with an interrupted run.
    """
    own = list(overrides)
    spec = load_recipe(recipe, own)
    out_dir = out_dir or Path("runs") / f"{spec.name}-tiny"
    shrunk = [*own, *(line for line in tiny_overrides(spec) if line.partition("=")[0] not in _keys(own))]
    data = write_tiny_data(load_recipe(recipe, shrunk), out_dir / DATA_FOLDER)
    return run_recipe(recipe, shrunk, out_dir, resume, data)


def _of_recipe(recipe: RecipeSpec) -> Iterator[str]:
    yield "scale=tiny"
    yield "num_threads=1"
    yield "save_dtype=fp32"
    yield "features={cache: run, batch_size: 2, shard_images: 4}"
    yield "image_policy.max_unreadable_fraction=0"
    if recipe.system not in list_presets():
        yield f"system={STAND_IN}"
    if recipe.teacher is not None:
        yield "teacher.scale=tiny"
        yield "teacher.precision=fp32"
        if recipe.teacher.system not in list_presets():
            yield f"teacher.system={STAND_IN}"


def _of_stage(recipe: RecipeSpec, index: int) -> Iterator[str]:
    stage = recipe.stages[index]
    values: dict[str, Any] = {
        "steps": STEPS,
        "batch_size": BATCH,
        "accumulation": 1,
        "precision": "fp32",
        "save_every": 1,
        "log_every": 1,
        "num_workers": 0,
        "init_from": "''",
        "schedule.warmup_steps": 1,
    }
    if stage.max_row_tokens is not None and stage.packing == "packed":
        values["max_row_tokens"] = ROW_TOKENS
    if stage.lora is not None:
        values |= {"lora.rank": 2, "lora.alpha": 4, "lora.quantise": "none"}
        values["lora.first_layer"] = min(stage.lora.first_layer, 1)  # a tiny model has two layers
    yield from (f"stages.{index}.{key}={value}" for key, value in values.items())


def _keys(overrides: Iterable[str]) -> set[str]:
    return {override.partition("=")[0] for override in overrides}
