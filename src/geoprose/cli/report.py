"""``geoprose report``: make a run's page again, or a table for a paper, from what is on disk."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer


class ReportFormat(StrEnum):
    """What to make."""

    html = "html"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("report")(report)


def report(
    runs: list[Path] = typer.Argument(None, help="Folders of runs or suites; none with --with-references for all."),
    output_format: ReportFormat = typer.Option(ReportFormat.html, "--format", help="A page, or a table over the runs."),
    out: Path = typer.Option(None, "--out", help="File of the table; standard output when it is not given."),
    data: Path = typer.Option(None, "--data", help="Folder of the pictures, for the page; as recorded in the run."),
    with_references: bool = typer.Option(False, "--with-references", help="Published numbers below ours."),
    variants: bool = typer.Option(False, "--variants", help="A column for every protocol variant, flagged ones too."),
) -> None:
    """Make pages of runs and suites again without a model, or a table with published numbers and their provenance."""
    if output_format is ReportFormat.html:
        _pages(runs or [], data, out)
        return
    from geoprose.core.errors import ConfigError
    from geoprose.core.files import write_text
    from geoprose.evaluation.report.comparison import compare_runs, find_runs
    from geoprose.evaluation.report.formats import FORMATS
    from geoprose.evaluation.report.published import reference_tables

    if not runs and not with_references:
        raise ConfigError(
            "No run is given. Give folders of runs, or --with-references for the published numbers alone."
        )
    tables = compare_runs(find_runs(runs), with_references, variants) if runs else reference_tables()
    text = FORMATS[output_format.value](tables)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo(f"table: {out}", err=True)


def _pages(runs: list[Path], data: Path | None, out: Path | None) -> None:
    from geoprose.core.errors import ConfigError
    from geoprose.evaluation.report.build import write_pages

    if not runs:
        raise ConfigError("No run is given. Give the folder of a run or of a suite.")
    if out is not None:
        raise ConfigError(
            "--out is for tables: a page lies beside its run, so that its links and its data stay together."
        )
    for path in write_pages(runs, data):
        typer.echo(f"report: {path}")
