"""``geoprose distill``: run a recipe in which a student learns from a teacher."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from geoprose.cli.train import run_and_report, runner


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("distill")(distill)


def distill(
    recipe: str = typer.Argument(..., help="Name of a shipped recipe, or path of a YAML file."),
    teacher: str | None = typer.Option(None, "--teacher", help="The teacher's folder, instead of the recipe's."),
    overrides: list[str] = typer.Option([], "--set", help="Change one value: stages.0.steps=10. May be repeated."),
    out_dir: Path | None = typer.Option(None, "--out", help="Folder of the run. Default: runs/<recipe name>."),
    data_dir: Path | None = typer.Option(None, "--data", help="Folder that the recipe's sources are relative to."),
    resume: bool = typer.Option(False, "--resume", help="Go on with an interrupted run; the result is the same."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check everything, show the plan, train and write nothing."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """Train a student on what a teacher says; as `train`, but there must be a teacher and a loss that reads it."""
    from geoprose.training.recipes import load_recipe
    from geoprose.training.teacher import check_distils

    changes = [*overrides, *_teacher_overrides(teacher)]
    check_distils(load_recipe(recipe, changes))
    told = {"recipe": recipe, "overrides": changes, "out_dir": out_dir, "resume": resume, "data_dir": data_dir}
    run_and_report(told, runner(), dry_run, json_output)


def _teacher_overrides(teacher: str | None) -> list[str]:
    """Return the overrides that put a teacher in place of the recipe's; a folder is as large as it was saved."""
    if teacher is None:
        return []
    scale = ["teacher.scale=full"] if Path(teacher).is_dir() else []
    return [f"teacher.system={json.dumps(teacher)}", *scale]
