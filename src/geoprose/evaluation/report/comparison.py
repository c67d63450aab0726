"""Tables over runs and tasks for papers: one table a task, a row a system, published numbers beside ours.

A column is a figure with the protocol variant that gave it; a row always says where its numbers come from. A published
number stands in a column only where its source names the same figure over the same data; a disputed one keeps its place
and carries a dagger and the reason.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.report.figures import PERCENT, scaled, unit_of, unit_of_block
from geoprose.evaluation.report.files import read_run
from geoprose.evaluation.report.grid import OVERALL, Cell, Column, Comparison, SystemRow, plain
from geoprose.evaluation.report.published import numbers_for, published_rows
from geoprose.evaluation.report.suite import task_folders

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from geoprose.evaluation.report.files import RunFiles

SCORE = "score"
SUMMARIES = frozenset({"aa"})
"""Figures that get a column of their own beside the score."""
HASH_DIGITS = 12


def find_runs(folders: Iterable[Path]) -> list[RunFiles]:
    """Return the runs in the folders: a run's own folder, or a suite's with a folder for each task.

    Raises:
        TaskError: If a folder holds neither.
    """
    found = []
    for folder in folders:
        tasks = task_folders(folder, None)
        found += [read_run(folder)] if tasks is None else [read_run(own) for own, _ in tasks]
    return found


def compare_runs(
    runs: Sequence[RunFiles], has_references: bool = False, has_variants: bool = False
) -> list[Comparison]:
    """Return a table for each task of the runs, in the order in which tasks first occur.

    Args:
        runs: Runs, several of one task or of several tasks.
        has_references: Whether published numbers stand below ours.
        has_variants: Whether every protocol variant has a column, flagged ones included.
    """
    labels = _labels(runs)
    by_task: dict[str, list[tuple[str, RunFiles]]] = {}
    for label, run in zip(labels, runs, strict=True):
        by_task.setdefault(str(run.result.get("task", run.folder.name)), []).append((label, run))
    return [_comparison(task, named, has_references, has_variants) for task, named in by_task.items()]


def _comparison(
    task: str, named: Sequence[tuple[str, RunFiles]], has_references: bool, has_variants: bool
) -> Comparison:
    numbers = numbers_for(task) if has_references else []
    named_figures = [number.column.ours for number in numbers if number.column.ours]
    wanted = SUMMARIES | {plain(ours.figure) for ours in named_figures}
    variants = None if has_variants else {ours.variant for ours in named_figures}
    columns: dict[tuple[str, str, str], Column] = {}
    found = [(label, run, _figures(run, wanted, variants)) for label, run in named]
    for _, _, figures in found:
        for column, _ in figures:
            columns.setdefault(_key(column), column)
    places = {key: place for place, key in enumerate(columns)}
    rows = [
        SystemRow(label, "this run", _cite(run), False, {places[_key(column)]: cell for column, cell in figures})
        for label, run, figures in found
    ]
    published, notes = published_rows(numbers, list(columns.values()))
    title = str(named[0][1].run.get("task", {}).get("title", task))
    return Comparison(task, title, tuple(columns.values()), (*rows, *published), notes)


def _key(column: Column) -> tuple[str, str, str]:
    return column.type, plain(column.figure), column.variant


def _figures(run: RunFiles, wanted: Collection[str], variants: Collection[str] | None) -> list[tuple[Column, Cell]]:
    by_type = run.result.get("by_type", {})
    blocks = list(by_type.items())
    if len(blocks) > 1 and "overall" in run.result:
        blocks.append((OVERALL, run.result["overall"]))
    found = []
    for name, block in blocks:
        protocol, default = _protocol(run, name, block)
        found.append((_column(name, block, SCORE, (protocol, default)), _cell(block)))
        for key, value in block.items():
            if plain(key) in wanted and key != SCORE and isinstance(value, int | float):
                unit = PERCENT if key in SUMMARIES else unit_of(key)
                column = Column(name, key, key.upper(), _joined(protocol, default), unit)
                found.append((column, Cell(scaled(float(value), unit), n=block.get("n"))))
        for key, one in (block.get("variants") or {}).items():
            if key == default or (variants is not None and key not in variants):
                continue
            known = (
                one if "metric" in one else {**one, "metric": block.get("metric"), "accuracy": block.get("accuracy")}
            )
            column = _column(name, known, SCORE, (protocol, key), is_default=False)
            found.append((column, _cell(one, column.unit)))
    return found


def _protocol(run: RunFiles, name: str, block: Mapping[str, Any]) -> tuple[str, str]:
    spec = (run.run.get("task", {}).get("types", {}) or {}).get(name) or {}
    protocol = str(block.get("protocol") or spec.get("protocol", ""))
    default = str(block.get("variant") or next(iter(block.get("variants") or {}), ""))
    return protocol, default


def _column(
    name: str, block: Mapping[str, Any], figure: str, variant: tuple[str, str], is_default: bool = True
) -> Column:
    metric = str(block.get("metric", figure))
    fault = str(block.get("fault", ""))
    return Column(name, figure, metric, _joined(*variant), unit_of_block(block), fault, is_default)


def _joined(protocol: str, variant: str) -> str:
    return ": ".join(part for part in (protocol, variant) if part)


def _cell(block: Mapping[str, Any], unit: str | None = None) -> Cell:
    unit = unit_of_block(block) if unit is None else unit
    ends = block.get("ci95") or ()
    low, high = (scaled(float(end), unit) for end in ends) if ends else (None, None)
    return Cell(scaled(float(block.get("score", 0.0)), unit), low, high, block.get("n"))


def _labels(runs: Sequence[RunFiles]) -> list[str]:
    """Return a name for each run; runs of one task by systems of one name are told apart by their folders."""
    names = []
    for run in runs:
        system = run.result.get("system", {})
        name = system.get("name") if isinstance(system, dict) else system
        names.append(str(name or run.folder.name))
    seen = Counter((name, str(run.result.get("task"))) for name, run in zip(names, runs, strict=True))
    return [
        f"{name} ({run.folder.name})" if seen[name, str(run.result.get("task"))] > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]


def _cite(run: RunFiles) -> str:
    record = {**run.run, **run.result}
    data = record.get("data_sha256") or {}
    facts = [f"data {name} {digest[:HASH_DIGITS]}" for name, digest in data.items() if name.endswith(".jsonl")]
    if record.get("image_list_sha256"):
        facts.append(f"image list {record['image_list_sha256'][:HASH_DIGITS]}")
    if record.get("task_sha256"):
        facts.append(f"task {record['task_sha256'][:HASH_DIGITS]}")
    if record.get("git_commit"):
        facts.append(f"commit {record['git_commit'][:HASH_DIGITS]}")
    if record.get("limit"):
        facts.append(f"only {record['limit']} questions")
    return f"geoprose {(record.get('versions') or {}).get('geoprose', '')}; {', '.join(facts)}".strip("; ")
