"""What ``accelerate launch`` asks for in the environment, read before accelerate acts on it."""

from __future__ import annotations

import importlib.util
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.training.specs.recipe import RecipeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

_FSDP, _DEEPSPEED = "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"
_DEEPSPEED_SETTINGS = {
    "ACCELERATE_DEEPSPEED_ZERO_STAGE": ("3", "zero_stage"),
    "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": ("none", "offload_optimizer_device"),
    "ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE": ("none", "offload_param_device"),
    "ACCELERATE_DEEPSPEED_CONFIG_FILE": ("none", "deepspeed_config_file"),
}
"""Variable: the one value that is taken, and what accelerate's configuration calls it."""


def resolve_launch(recipe: RecipeSpec) -> RecipeSpec:
    """Give the recipe the sharding that the launcher asks for.

    Raises:
        ConfigError: If it asks for what the engine does not do, or for another sharding than the recipe.
        ResourceError: If DeepSpeed is to cut the model and is not installed.
    """
    if _is_on(_FSDP):
        raise ConfigError(
            "The launcher asks accelerate for FSDP; this engine cuts the model over the processes itself. Launch plain "
            "processes (fsdp2.yaml) and set sharding: full."
        )
    if _is_on(_DEEPSPEED):
        _check_settings()
        if recipe.sharding == "full":
            raise ConfigError(
                "The launcher asks for DeepSpeed and the recipe for sharding: full. Launch plain processes "
                "(fsdp2.yaml), or leave sharding out."
            )
        recipe = RecipeSpec.model_validate({**recipe.model_dump(mode="json"), "sharding": "zero3"})
    if recipe.sharding == "zero3" and _is_several() and importlib.util.find_spec("deepspeed") is None:
        raise ResourceError(
            "sharding: zero3 needs DeepSpeed. Install geoprose[deepspeed], or use sharding: full, which cuts the same "
            "way with torch alone."
        )
    return recipe


@contextmanager
def apart_from_accelerate() -> Iterator[None]:
    """Hide from accelerate, while the block runs, that DeepSpeed was asked for: the engine calls it itself.

    Why: accelerate steps inside of the backward pass, before the trainer has seen whether the step is finite; keeps the
    optimiser in files of DeepSpeed's; makes every later ``from_pretrained`` build a cut model; and does nothing on
    processors.
    """
    asked = os.environ.pop(_DEEPSPEED, None)
    try:
        yield
    finally:
        if asked is not None:
            os.environ[_DEEPSPEED] = asked


def _check_settings() -> None:
    for variable, (taken, name) in _DEEPSPEED_SETTINGS.items():
        value = os.environ.get(variable, taken)
        if value != taken:
            raise ConfigError(
                f"accelerate's DeepSpeed setting {name}: {value} is not taken: the recipe and the engine say all but "
                "zero_stage: 3. Leave it out (zero3.yaml shows how), or use sharding: full."
            )


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() in {"1", "true", "yes", "on"}


def _is_several() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
