"""``geoprose compare``: two runs on the same samples, or a table of several."""

from __future__ import annotations

from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("compare")(compare)


def compare(
    runs: list[Path] = typer.Argument(
        ..., help="Folders of runs. Two are compared sample by sample; more give a table."
    ),
    out: Path | None = typer.Option(None, "--out", help="Folder for comparison.json and flips.jsonl."),
    json_output: bool = typer.Option(False, "--json", help="Print JSON instead of the table."),
) -> None:
    """Compare runs on the same samples: differences with intervals, exact tests, and which answers changed."""
    import json

    from geoprose.core.errors import ConfigError
    from geoprose.evaluation.compare import FLIPS_NAME, compare_many, compare_runs
    from geoprose.evaluation.compare_table import comparison_table, runs_table

    if len(runs) < 2:
        raise ConfigError("Give two runs or more to compare.")
    if len(runs) > 2:
        typer.echo(
            json.dumps(compare_many(runs), ensure_ascii=False) if json_output else runs_table(compare_many(runs))
        )
        return
    comparison = compare_runs(runs[0], runs[1], out)
    typer.echo(json.dumps(comparison, ensure_ascii=False) if json_output else comparison_table(comparison))
    if out is not None and not json_output:
        typer.echo(f"samples whose score differs: {out / FLIPS_NAME}")
