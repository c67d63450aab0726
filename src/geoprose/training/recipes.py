"""Find a recipe by preset name or path, lay it over its parent, apply overrides, validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError, PresetError
from geoprose.core.preset_folder import PresetFolder
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import apply_overrides, merge, read_yaml, validate
from geoprose.training.specs.recipe import RecipeSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

RECIPES = PresetFolder("recipes", "recipe")
_MAX_PARENTS = 8


def list_recipes() -> list[str]:
    """Return the names of the recipes that ship with geoprose; a leading underscore hides a base."""
    return list(RECIPES.names())


def load_recipe(recipe: Path | str, overrides: Iterable[str] = ()) -> RecipeSpec:
    """Return the validated recipe.

    Args:
        recipe: Name of a shipped recipe, or path of a YAML file.
        overrides: ``"stages.0.learning_rate=1e-4"`` and the like; an index counts the merged list of stages.

    Raises:
        PresetError: If there is neither such a preset nor such a file.
        ConfigError: If a key or value is wrong; unknown keys come with the close known ones.
    """
    path = _find(recipe, Path.cwd())
    values = apply_overrides(_read_merged(path), overrides)
    values.setdefault("name", path.stem)
    return validate(RecipeSpec, values, str(recipe))


def _read_merged(path: Path, depth: int = 0) -> dict[str, Any]:
    if depth > _MAX_PARENTS:
        raise ConfigError(f"{path}: more than {_MAX_PARENTS} recipes extend each other; is there a circle?")
    values = read_yaml(path)
    parent = values.pop("extends", None)
    changes = values.pop("stage_changes", {})
    if parent is not None:
        base = _read_merged(_find(str(parent), path.parent), depth + 1)
        for described in ("description", "verified", "name"):
            base.pop(described, None)
        values = merge(base, values)
    return _change_stages(values, changes, path)


def _change_stages(values: dict[str, Any], changes: Any, path: Path) -> dict[str, Any]:
    """Apply ``stage_changes``: stage name to a difference, or null to leave the stage out."""
    if not isinstance(changes, dict):
        raise ConfigError(f"{path}: stage_changes must map stage names to differences.")
    stages = list(values.get("stages", []))
    names = [str(stage.get("name")) for stage in stages]
    for name, difference in changes.items():
        if name not in names:
            raise ConfigError(f"{path}: {unknown_name_message('stage', str(name), names)}")
        index = names.index(name)
        stages[index] = None if difference is None else merge(stages[index], difference)
    values["stages"] = [stage for stage in stages if stage is not None]
    return values


def _find(recipe: Path | str, relative_to: Path) -> Path:
    as_path = Path(recipe)
    if as_path.suffix in {".yaml", ".yml"}:
        return as_path if as_path.is_absolute() else relative_to / as_path
    if str(recipe) in RECIPES.names(with_bases=True):
        return RECIPES.find(str(recipe), with_bases=True)
    if as_path.is_file():
        return as_path
    raise PresetError(unknown_name_message("recipe", str(recipe), list_recipes()) + " A path must end in .yaml.")
