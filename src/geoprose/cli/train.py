"""``geoprose train``: run a recipe."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from geoprose.cli.logs import logs_on_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from geoprose.training.run import RunResult


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("train")(train)


def train(
    recipe: str = typer.Argument(..., help="Name of a shipped recipe, or path of a YAML file."),
    overrides: list[str] = typer.Option([], "--set", help="Change one value: stages.0.steps=10. May be repeated."),
    out_dir: Path | None = typer.Option(None, "--out", help="Folder of the run. Default: runs/<recipe name>."),
    data_dir: Path | None = typer.Option(None, "--data", help="Folder that the recipe's sources are relative to."),
    resume: bool = typer.Option(False, "--resume", help="Go on with an interrupted run; the result is the same."),
    tiny: bool = typer.Option(False, "--tiny", help="Run all stages in seconds: random small parts, drawn data."),
    processes: int = typer.Option(1, "--processes", min=1, help="Divide each step over this many local processes."),
    ray_workers: int = typer.Option(0, "--ray", min=0, help="Train in this many processes that Ray Train starts."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check everything, show the plan, train and write nothing."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """Train a system as a recipe says; Ctrl-C leaves a checkpoint to --resume from."""
    if sum((tiny, processes > 1, ray_workers > 0)) > 1:
        raise typer.BadParameter("--tiny runs in this process, and --processes and --ray each start others: give one.")
    told = {"recipe": recipe, "overrides": overrides, "out_dir": out_dir, "resume": resume, "data_dir": data_dir}
    run_and_report(told, _tiny if tiny else runner(processes, ray_workers), dry_run, json_output)


def run_and_report(
    told: Mapping[str, Any], run: Callable[[Mapping[str, Any]], RunResult], is_dry: bool, is_json: bool
) -> None:
    """Run a recipe, or plan it, and say what came of it; what `train` and `distill` share.

    Args:
        told: Arguments of ``run_recipe``, by name.
        run: What runs them.
        is_dry: Show the plan instead.
        is_json: Print one JSON object.
    """
    from geoprose.training.run import plan_recipe

    with logs_on_stderr():
        if is_dry:
            plan = plan_recipe(told["recipe"], told["overrides"], told["data_dir"])
            typer.echo(json.dumps(plan) if is_json else _plan_text(plan))
            return
        result = run(told)
    if os.environ.get("RANK", "0") != "0":  # of several processes the first one speaks
        return
    if is_json:
        typer.echo(
            json.dumps({"out_dir": str(result.out_dir), "system_dir": str(result.system_dir), "run": result.record})
        )
        return
    typer.echo(f"trained {result.recipe.name} in {result.record['wall_seconds']:.0f} s")
    for name, stage in result.record["stages"].items():
        loss = "none" if stage["last_loss"] is None else f"{stage['last_loss']:.4f}"
        typer.echo(f"  stage {name}: {stage['steps']} steps, last loss {loss}, {stage['num_trainable']:,} parameters")
    typer.echo(f"system: {result.system_dir}")
    typer.echo(f"record: {result.out_dir / 'run.json'}")


def runner(processes: int = 1, ray_workers: int = 0) -> Callable[[Mapping[str, Any]], RunResult]:
    """Return what runs a recipe: this process, several of this machine, or workers of Ray."""
    if ray_workers:
        from geoprose.training.processes.ray_launch import run_with_ray

        return partial(run_with_ray, num_workers=ray_workers)
    from geoprose.training.processes.local_launch import run_on_this_machine

    return partial(run_on_this_machine, num_processes=processes)


def _tiny(told: Mapping[str, Any]) -> RunResult:
    from geoprose.training.tiny import run_tiny

    return run_tiny(told["recipe"], told["overrides"], told["out_dir"], told["resume"])


def _plan_text(plan: dict[str, object]) -> str:
    lines = [f"recipe {plan['recipe']['name']} ({str(plan['recipe_hash'])[:12]})"]  # type: ignore[index]
    for stage in plan["stages"]:  # type: ignore[attr-defined]
        lines.append(
            f"  stage {stage['name']}: {stage['steps']} steps, {stage['epochs']:.2f} epochs of {stage['units']} units "
            f"({stage['samples']} samples), losses {', '.join(stage['losses'])}, {stage['precision']}"
        )
        parts = ", ".join(f"{name} {count:,}" for name, count in stage["trains"].items())
        lines.append(f"    trains {stage['num_trainable']:,} parameters: {parts}")
    if plan["recipe"]["launch"]:  # type: ignore[index]
        lines.append(f"  launch: {plan['recipe']['launch']}")  # type: ignore[index]
    return "\n".join(lines)
