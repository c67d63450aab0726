"""``geoprose diagnose``: why a score is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("diagnose")(diagnose)


def diagnose(
    name: str = typer.Argument("", help="Name of a diagnostic; without one they are listed."),
    system: str = typer.Argument("", help="Name of a preset, or directory of a saved system."),
    task: str = typer.Option("", "--task", help="Name of a task, or path of a task's YAML."),
    data: Path | None = typer.Option(None, "--data", help="Dataset directory of the task."),
    out: Path = typer.Option(Path("runs/diagnose"), "--out", help="Directory for answers, result and report."),
    limit: int = typer.Option(0, "--limit", help="Ask only about this many questions; 0 for all."),
    systems: list[str] = typer.Option([], "--systems", help="NAME=DIR, a further system; may be given several times."),
    domains: list[str] = typer.Option([], "--domains", help="NAME=TASK:DATA, a test domain (cross-domain)."),
    run: Path | None = typer.Option(None, "--run", help="Folder of a finished run (human)."),
    ratings: Path | None = typer.Option(None, "--ratings", help="CSV file with id, rater, rating (human)."),
    options: Path | None = typer.Option(None, "--options", help="YAML file with the diagnostic's options."),
    overrides: list[str] = typer.Option([], "--set", help="key=value, an option; may be given several times."),
    batch_size: int = typer.Option(64, "--batch-size", min=1, help="Questions decoded together."),
    json_output: bool = typer.Option(False, "--json", help="Print result.json instead of a summary."),
) -> None:
    """Examine a system: coarser or damaged pictures, other domains, visual reliance, attention, embeddings, raters."""
    import json

    from geoprose.cli.progress import progress_lines
    from geoprose.core.spec import read_yaml
    from geoprose.evaluation.diagnostics.base import Request
    from geoprose.evaluation.diagnostics.run import build_diagnostic, list_diagnostics
    from geoprose.evaluation.diagnostics.run import diagnose as examine
    from geoprose.evaluation.diagnostics.summary import summary

    if not name:
        for known, title in list_diagnostics().items():
            typer.echo(f"{known:24s}{title}")
        return
    values: dict[str, Any] = read_yaml(options) if options else {}
    values |= _named_values(systems, domains)
    values |= {key: str(path) for key, path in (("run_dir", run), ("ratings", ratings)) if path is not None}
    diagnostic = build_diagnostic(name, values, overrides)
    with progress_lines("questions") as on_progress:
        request = Request(out, system or None, task or None, data, limit or None, batch_size, on_progress)
        result = examine(name, diagnostic, request)
    if json_output:
        typer.echo(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(summary(result))
        typer.echo(f"report: {out / 'report.html'}")


def _named_values(systems: list[str], domains: list[str]) -> dict[str, Any]:
    """Return the options that ``--systems`` and ``--domains`` spell.

    Raises:
        ConfigError: If one is not of its form.
    """
    from geoprose.core.errors import ConfigError

    values: dict[str, Any] = {}
    for text in systems:
        label, separator, folder = text.partition("=")
        if not separator or not label or not folder:
            raise ConfigError(f"--systems is {text!r}; give NAME=DIR.")
        values.setdefault("systems", {})[label] = folder
    for text in domains:
        label, separator, rest = text.partition("=")
        task, colon, folder = rest.partition(":")
        if not separator or not colon or not label or not task or not folder:
            raise ConfigError(f"--domains is {text!r}; give NAME=TASK:DATA.")
        values.setdefault("domains", {})[label] = {"task": task, "data": folder}
    return values
