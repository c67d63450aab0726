"""``geoprose evaluate``: score a system on a task or a suite, next to baselines, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from geoprose.evaluation.run_options import EvaluateOptions


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("evaluate")(evaluate)


def evaluate(
    system: str = typer.Argument(
        "", help="Name of a preset, or directory of a saved system; not needed with --rescore or --merge."
    ),
    task: str = typer.Option("", "--task", help="Name of a task, or path of a task's YAML. Default: world."),
    suite: str = typer.Option("", "--suite", help="Name of a suite of tasks, or path of a suite's YAML."),
    data: Path = typer.Option(..., "--data", help="Dataset directory; of a suite the folder that holds its data sets."),
    out: Path = typer.Option(Path("runs/evaluate"), "--out", help="Directory for predictions, result and report."),
    limit: int = typer.Option(0, "--limit", help="Answer only this many questions; 0 for all."),
    shots: int = typer.Option(
        -1, "--shots", help="Solved examples before each question; -1 for as many as the task says."
    ),
    resume: bool = typer.Option(
        True, "--resume/--no-resume", help="Go on with an interrupted run in --out; else clear what it holds."
    ),
    shard: str = typer.Option("", "--shard", help="Do only part I/N of the work; the last part to finish scores."),
    processes: int = typer.Option(1, "--processes", min=1, help="Share the questions of --task by local processes."),
    merge: bool = typer.Option(False, "--merge", help="Put finished shards together and score, without a model."),
    rescore: bool = typer.Option(False, "--rescore", help="Score the predictions already in --out, without a model."),
    blind: str = typer.Option("", "--blind", help="Directory of a system trained without pictures, as a baseline."),
    baseline: Path | None = typer.Option(None, "--baseline", help="Folder of an earlier run, scored side by side."),
    batch_size: int = typer.Option(64, "--batch-size", min=1, help="Questions decoded together."),
    json_output: bool = typer.Option(False, "--json", help="Print result.json or suite.json instead of tables."),
) -> None:
    """Write raw predictions first, then score them per question type, with 95 % intervals clustered by picture."""
    from geoprose.cli.progress import progress_lines
    from geoprose.core.errors import ConfigError
    from geoprose.evaluation.resume import WHOLE, Shard
    from geoprose.evaluation.run_options import EvaluateOptions

    if task and suite:
        raise ConfigError("Give --task or --suite, not both.")
    if processes > 1 and (suite or shard or merge or rescore):
        raise ConfigError(
            "--processes shares the questions of one --task; leave --suite, --shard, --merge, --rescore out."
        )
    with progress_lines("questions") as on_progress:
        options = EvaluateOptions(
            limit=limit or None,
            is_rescore=rescore,
            is_resume=resume,
            shard=Shard.parse(shard) if shard else WHOLE,
            is_merge=merge,
            shots=None if shots < 0 else shots,
            blind=blind or None,
            previous=baseline,
            batch_size=batch_size,
            on_progress=on_progress,
        )
        if processes > 1:
            _show(_in_processes(system, task or "world", (data, out), options, processes), out, json_output)
        elif suite:
            _evaluate_suite(system, suite, (data, out), options, json_output)
        else:
            _evaluate_task(system, task or "world", (data, out), options, json_output)


def _evaluate_task(
    system: str, task: str, dirs: tuple[Path, Path], options: EvaluateOptions, json_output: bool
) -> None:
    from geoprose.evaluation.run import evaluate as evaluate_system

    result = evaluate_system(system or None, task, *dirs, options)
    if "waiting_for" in result and not json_output:
        typer.echo(_waiting(task, options, result["waiting_for"]))
    else:
        _show(result, dirs[1], json_output)


def _in_processes(
    system: str, task: str, dirs: tuple[Path, Path], options: EvaluateOptions, num_processes: int
) -> dict[str, Any]:
    from geoprose.evaluation.processes import evaluate_in_processes

    return evaluate_in_processes(system, task, dirs, options, num_processes)


def _show(result: dict[str, Any], out: Path, json_output: bool) -> None:
    import json

    from geoprose.evaluation.table import score_table

    if json_output:
        typer.echo(json.dumps(result, ensure_ascii=False, allow_nan=False))
        return
    typer.echo(score_table(result))
    typer.echo(f"report: {out / 'report.html'}")


def _evaluate_suite(
    system: str, suite: str, dirs: tuple[Path, Path], options: EvaluateOptions, json_output: bool
) -> None:
    from geoprose.evaluation.suite import SUITE_NAME, evaluate_suite
    from geoprose.evaluation.table import suite_table

    data, out = dirs
    run = evaluate_suite(system or None, suite, data, out, options)
    if json_output:
        typer.echo((out / SUITE_NAME).read_text(encoding="utf-8").rstrip())
        return
    if run.results:
        typer.echo(suite_table(run.results))
    for task, reason in run.skipped.items():
        typer.echo(f"skipped {task}: {reason}")
    for task, missing in run.waiting.items():
        typer.echo(_waiting(task, options, missing))
    if run.results:
        typer.echo(f"report: {out / 'report.html'}")


def _waiting(task: str, options: EvaluateOptions, missing: list[int]) -> str:
    names = ", ".join(map(str, missing))
    return f"{task}: shard {options.shard.label} is done; waiting for shard {names} of {options.shard.count}"
