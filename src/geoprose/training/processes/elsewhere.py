"""A run in other processes than this one: what they are told, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.training.recipes import load_recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.training.run import RunResult

_PATHS = ("out_dir", "data_dir")


def absolute(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``run_recipe`` with a folder and absolute paths; a recipe's name stays a name.

    Raises:
        ConfigError: If the recipe is wrong.
    """
    told = dict(arguments)
    if told.get("out_dir") is None:
        told["out_dir"] = Path("runs") / load_recipe(told["recipe"], told.get("overrides", ())).name
    told.update({name: Path(told[name]).absolute() for name in _PATHS if told.get(name) is not None})
    if Path(told["recipe"]).is_file():
        told["recipe"] = str(Path(told["recipe"]).absolute())
    return told


def finished_run(out_dir: Path) -> RunResult:
    """Return what ``run_recipe`` left in a folder."""
    from geoprose.training.init_from import SYSTEM_FOLDER
    from geoprose.training.logs.run_record import RUN_FILE
    from geoprose.training.run import RunResult
    from geoprose.training.specs.recipe import RecipeSpec

    record: dict[str, Any] = json.loads((out_dir / RUN_FILE).read_text())
    return RunResult(out_dir, out_dir / SYSTEM_FOLDER, RecipeSpec.model_validate(record["recipe"]), record)
