"""``geoprose reproduce``: a published result at a size that two cores can run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer


class ReproduceScale(StrEnum):
    """How large."""

    tiny = "tiny"
    small = "small"


class ReproducePhase(StrEnum):
    """A part of the work."""

    prepare = "prepare"
    train = "train"
    evaluate = "evaluate"
    cost = "cost"
    report = "report"


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("reproduce")(reproduce)


def reproduce(
    name: str = typer.Argument(..., help="What to reproduce, such as distillation."),
    scale: ReproduceScale = typer.Option(
        ReproduceScale.small, "--scale", help="small: the real thing on two cores; tiny: random weights, seconds."
    ),
    out: Path = typer.Option(
        None, "--out", help="Folder of the run. Default: runs/reproduce/NAME; finished parts stay."
    ),
    data: Path = typer.Option(None, "--data", help="Data set instead of the packaged one."),
    seeds: int = typer.Option(3, "--seeds", help="Number of seeds; more may be added to a finished run."),
    only: ReproducePhase = typer.Option(None, "--only", help="Do this phase alone."),
    arms: list[str] = typer.Option([], "--arm", help="Train and measure this arm only. May be repeated."),
    processes: int = typer.Option(
        0, "--processes", min=0, help="Share the trials by local processes. 0: two on processors, one with a card."
    ),
    overrides: list[str] = typer.Option([], "--set", help="Change one setting: steps=100. May be repeated."),
    json_output: bool = typer.Option(False, "--json", help="Print result.json instead of the table."),
) -> None:
    """Train every arm with several seeds, measure, and say what the figures support; run again to go on."""
    import json

    from geoprose.experiments.reproduce.outcomes import REPORT_FILE, result_table
    from geoprose.experiments.reproduce.processes import reproduce_in_processes, usual_processes
    from geoprose.experiments.reproduce.run import ReproduceOptions

    out_dir = out or Path("runs") / "reproduce" / name
    options = ReproduceOptions(
        scale=scale.value,
        seeds=seeds,
        data_dir=data,
        overrides=tuple(overrides),
        only=only.value if only else None,
        arms=tuple(arms),
        say=lambda line: typer.echo(f"[{name}] {line}", err=True),
    )
    result = reproduce_in_processes(name, out_dir, options, processes or usual_processes(options))
    if json_output:
        typer.echo(json.dumps(result, ensure_ascii=False, allow_nan=False))
        return
    typer.echo(result_table(result))
    typer.echo(f"\nreport: {out_dir / REPORT_FILE}")
