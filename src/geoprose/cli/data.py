"""``geoprose data``: check and build data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

data_app = typer.Typer(help="Check and build data sets.", no_args_is_help=True)
build_app = typer.Typer(help="Build a data set from packaged assets.", no_args_is_help=True)
data_app.add_typer(build_app, name="build")


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.add_typer(data_app, name="data")


@data_app.command("check")
def check(
    path: Path = typer.Argument(..., metavar="FILE|DIR", help="Annotation file, or the folder of a data set."),
    codec: str = typer.Option("", "--codec", help="Box format of the answers, such as geochat; default: as declared."),
    examples: int = typer.Option(3, "--examples", min=0, max=1000, help="Findings shown per kind."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Find missing and broken images, boxes off their scale, duplicates, empty answers and split leaks.

    Exits with 0 when nothing is found and with 4 when something is.
    """
    from geoprose.data.check import check_dataset

    report = check_dataset(path, codec or None, examples)
    if json_output:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        _print_report(report.to_dict())
    if not report.is_clean:
        raise typer.Exit(4)


@data_app.command("sets")
def sets(
    name: str = typer.Argument("", help="Only layouts whose reader, tasks or description have this word."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """List the public data sets that can be read: what to download, where to put it, and the tasks about it."""
    from geoprose.evaluation.data_sets import list_data_sets

    found = [entry for entry in list_data_sets() if name.lower() in json.dumps(entry.to_dict()).lower()]
    if json_output:
        typer.echo(json.dumps({"data_sets": [entry.to_dict() for entry in found]}, ensure_ascii=False))
        return
    for entry in found:
        tasks = ", ".join(entry.tasks) or "none (for training)"
        typer.echo(f"{entry.reader}: {entry.layout}\n  splits: {', '.join(entry.splits)}\n  tasks: {tasks}\n")
    if not found:
        raise typer.BadParameter(f"no data set has the word {name!r}; run `geoprose data sets` for all of them.")


@data_app.command("prefer")
def prefer(
    system: str = typer.Argument(..., metavar="SYSTEM", help="Directory of a trained system, or a preset."),
    task: str = typer.Option(..., "--task", help="Task whose questions are asked and whose metric judges."),
    data: Path = typer.Option(..., "--data", help="Data set of the task."),
    out: Path = typer.Option(..., "--out", help="File of the records to write, .jsonl."),
    answers: int = typer.Option(8, "--answers", min=2, help="Answers sampled for each question."),
    temperature: float = typer.Option(1.0, "--temperature", help="Above 1 more variety, towards 0 less."),
    top_p: float = typer.Option(1.0, "--top-p", help="Share of the probability that tokens are drawn from."),
    seed: int = typer.Option(0, "--seed", help="Seed of the sampling."),
    split: str = typer.Option("train", "--split", help="Split whose questions are asked."),
    limit: int = typer.Option(0, "--limit", min=0, help="Ask only about so many samples, by hash; 0 for all."),
    min_gap: float = typer.Option(0.0, "--min-gap", min=0.0, help="Scores of a pair must differ by more."),
    json_output: bool = typer.Option(False, "--json", help="Print the data card as one JSON object."),
) -> None:
    """Build preference pairs: sample answers, judge them by the task's metric, prefer the best to the worst.

    A run that was stopped goes on when the same command is given again.
    """
    from geoprose.evaluation.prefer.build import PreferOptions, build_preferences
    from geoprose.inference.sample import Sampling

    sampling = Sampling(answers, temperature, top_p)
    options = PreferOptions(sampling, seed, split, limit or None, min_gap)
    card = build_preferences(system, task, data, out, options)
    if json_output:
        typer.echo(json.dumps(card, ensure_ascii=False))
        return
    counts = card["preferences"]["questions"]
    typer.echo(
        f"{counts['pair']} pairs; {counts['tie']} questions whose answers are equally good, {counts['all_bad']} "
        f"without a good answer\nwrote {out}"
    )


@build_app.command("preferences")
def build_preferences_command(
    source: Path = typer.Option(..., "--source", help="Published file, JSON lines: MMPR, or the columns of TRL."),
    out: Path = typer.Option(..., "--out", help="File to write, .jsonl, in the folder of the pictures."),
) -> None:
    """Bring published preferences to neutral records."""
    from geoprose.data.neutral import write_samples
    from geoprose.data.preferences import read_preferences

    samples = read_preferences(source)
    write_samples(samples, out)
    typer.echo(f"{len(samples)} records\nwrote {out}")


@build_app.command("world")
def build_world_command(
    out: Path = typer.Option(..., "--out", help="Folder to write; it must not exist or hold an earlier build."),
    json_output: bool = typer.Option(False, "--json", help="Print the data card as one JSON object."),
) -> None:
    """Build questions about Blue Marble tiles, with MODIS land cover as independent labels."""
    from geoprose.data.world.build import build_world
    from geoprose.data.world.card import summary_lines

    card = build_world(out)
    if json_output:
        typer.echo(json.dumps(card, ensure_ascii=False))
    else:
        typer.echo("\n".join([*summary_lines(card), f"wrote {out}"]))


@build_app.command("scene-captions")
def build_scene_captions_command(
    source: Path = typer.Option(..., "--source", help="Folder with annotations.jsonl and its images, such as RSICD."),
    out: Path = typer.Option(..., "--out", help="Folder to write; the images stay where they are."),
    max_train_images: int = typer.Option(0, "--max-train-images", min=0, help="Keep only so many, by hash; 0 for all."),
    json_output: bool = typer.Option(False, "--json", help="Print the data card as one JSON object."),
) -> None:
    """Build scene-naming and captioning questions from annotated pictures."""
    from geoprose.data.scene_captions import build_scene_captions

    card = build_scene_captions(source, out, max_train_images or None)
    typer.echo(json.dumps(card, ensure_ascii=False) if json_output else f"{card['counts']}\nwrote {out}")


def _print_report(report: dict[str, Any]) -> None:
    """Print a report as a table with examples below each kind."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 120
    splits = ", ".join(f"{count} {name or 'without split'}" for name, count in report["splits"].items())
    console.print(
        f"{escape(report['path'])}: {report['num_samples']} records ({splits}), {report['num_images']} images",
        soft_wrap=True,
    )
    if report["is_clean"]:
        console.print("nothing found")
        return
    table = Table("fault", "n", "meaning", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[1].justify = "right"
    for fault in report["faults"]:
        table.add_row(fault["kind"], str(fault["count"]), fault["meaning"])
    console.print(table)
    for fault in report["faults"]:
        for example in fault["examples"]:
            console.print(f"{fault['kind']}: {escape(example)}", soft_wrap=True)
