"""``geoprose score``: score anybody's file of predictions by every published variant of a task's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("score")(score)


def score(
    predictions: Path = typer.Argument(None, help="File of predictions: JSON lines, JSON, CSV, TSV or xlsx."),
    task: str = typer.Option(
        "", "--task", help="Name of a task, or path of a task's YAML; e.g. scene, vqa, grounding."
    ),
    layout: str = typer.Option("", "--layout", help="Layout of the file; told from its keys when not given."),
    references: Path = typer.Option(None, "--references", help="File with the right answers, where it is another one."),
    data: Path = typer.Option(None, "--data", help="Folder of the task's data set, where the right answers are there."),
    images: Path = typer.Option(None, "--images", help="Folder of the pictures, to learn their sizes."),
    protocol: list[str] = typer.Option([], "--protocol", help="Variant to show beside the default; all if not given."),
    codec: str = typer.Option("", "--codec", help="Box format of the answers; that of the layout when not given."),
    keep: str = typer.Option("", "--keep", help="first or last: which of different answers to one question counts."),
    size: str = typer.Option("", "--size", help="WIDTHxHEIGHT of every picture in pixels, where no file says it."),
    out: Path = typer.Option(None, "--out", help="Folder for result.json, the single answers and report.html."),
    list_layouts: bool = typer.Option(False, "--list-layouts", help="List the layouts that are read, and stop."),
    json_output: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> None:
    """Score a file of predictions: every variant of the task's protocol side by side, then what is odd about the file.

    Answers that cannot be read, and questions without an answer, count as wrong. Intervals are clustered by picture.
    """
    if list_layouts:
        _print_layouts(json_output)
        return
    import json

    from geoprose.cli.progress import progress_lines
    from geoprose.core.errors import ConfigError
    from geoprose.evaluation.score.request import ScoreRequest
    from geoprose.evaluation.score.run import score_file
    from geoprose.evaluation.score.table import file_score_table

    if predictions is None or not task:
        raise ConfigError("Give a file of predictions and --task, e.g. `geoprose score answers.jsonl --task vqa`.")
    request = ScoreRequest(
        predictions=predictions,
        task=task,
        layout=layout,
        references=references,
        data=data,
        images=images,
        variants=tuple(protocol) or None,
        codec=codec,
        keep=_keep(keep),
        size_px=_size(size),
        out=out,
    )
    with progress_lines("rows") as on_progress:
        result = score_file(request, on_progress)
    typer.echo(json.dumps(result, ensure_ascii=False, allow_nan=False) if json_output else file_score_table(result))
    if out is not None:
        typer.echo(f"written: {out}", err=True)


def _keep(value: str) -> Any:
    from geoprose.core.errors import ConfigError

    if value not in ("", "first", "last"):
        raise ConfigError(f"--keep is {value!r}; give first or last.")
    return value


def _size(value: str) -> tuple[int, int] | None:
    from geoprose.core.errors import ConfigError

    if not value:
        return None
    width, _, height = value.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise ConfigError(f"--size is {value!r}; give width and height in pixels, e.g. 800x600.")
    return int(width), int(height)


def _print_layouts(as_json: bool) -> None:
    import json

    from geoprose.evaluation.layouts.registry import list_layouts

    rows = [{"name": one.name, "title": one.title, "source": one.source} for one in list_layouts()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['name']:<12}{row['title']}\n{'':<12}{row['source']}")
