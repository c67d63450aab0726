"""``geoprose evaluate``: score a system on a task, next to baselines, with intervals."""

from __future__ import annotations

from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("evaluate")(evaluate)


def evaluate(
    system: str = typer.Argument(
        "", help="Name of a preset, or directory of a saved system; not needed with --rescore."
    ),
    task: str = typer.Option("world", "--task", help="Name of a task, or path of a task's YAML."),
    data: Path = typer.Option(..., "--data", help="Dataset directory, e.g. what `geoprose data build world` wrote."),
    out: Path = typer.Option(Path("runs/evaluate"), "--out", help="Directory for predictions, result and report."),
    limit: int = typer.Option(0, "--limit", help="Answer only this many questions; 0 for all."),
    rescore: bool = typer.Option(False, "--rescore", help="Score the predictions already in --out, without a model."),
    blind: str = typer.Option("", "--blind", help="Directory of a system trained without pictures, as a baseline."),
    batch_size: int = typer.Option(64, "--batch-size", min=1, help="Questions decoded together."),
    json_output: bool = typer.Option(False, "--json", help="Print result.json instead of the table."),
) -> None:
    """Write raw predictions first, then score them per question type, with 95 % intervals clustered by picture."""
    import json

    from geoprose.cli.progress import progress_lines
    from geoprose.evaluation.run import EvaluateOptions
    from geoprose.evaluation.run import evaluate as evaluate_system
    from geoprose.evaluation.table import score_table

    with progress_lines("questions") as on_progress:
        options = EvaluateOptions(
            limit=limit or None,
            is_rescore=rescore,
            blind=blind or None,
            batch_size=batch_size,
            on_progress=on_progress,
        )
        result = evaluate_system(system or None, task, data, out, options)
    if json_output:
        typer.echo(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(score_table(result))
        typer.echo(f"report: {out / 'report.html'}")
