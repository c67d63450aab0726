"""A suite: many tasks, one system, loaded once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from geoprose.core.errors import DataError, GeoproseError, InputError, PresetError, TaskError
from geoprose.core.files import write_json
from geoprose.core.preset_folder import PresetFolder
from geoprose.core.spec import Spec
from geoprose.evaluation.locking import hold
from geoprose.evaluation.run import evaluate
from geoprose.evaluation.run_options import EvaluateOptions
from geoprose.evaluation.run_record import LoadedSystem, load_for_evaluation
from geoprose.evaluation.tasks import load_task

if TYPE_CHECKING:
    from geoprose.evaluation.predict import Progress
    from geoprose.systems.build import System

logger = logging.getLogger(__name__)
SUITES = PresetFolder("suites", "suite")
SUITE_NAME = "suite.json"


class SuiteEntry(Spec):
    """One task of a suite."""

    task: str
    """Name of a task, or path of a task's YAML."""
    data: str
    """Folder of its data set below the root that is given."""


class SuiteSpec(Spec):
    """A suite as its YAML states it."""

    name: str
    """Name that the command line takes."""
    title: str
    """Heading of the report."""
    description: str
    """What the tasks have in common, and what is not among them."""
    entries: tuple[SuiteEntry, ...] = Field(min_length=1)
    """The tasks, in order."""


@dataclass
class SuiteRun:
    """What a suite gave.

    Attributes:
        results: ``result.json`` of every task that ran, by name.
        skipped: Tasks that did not run, and why.
        waiting: Tasks whose other shards are still missing.
    """

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, list[int]] = field(default_factory=dict)


@cache
def list_suites() -> tuple[str, ...]:
    """Return the names of the built-in suites, sorted."""
    return SUITES.names()


def load_suite(name: str | Path) -> SuiteSpec:
    """Load a built-in suite by name, or any suite by the path of its YAML file.

    Raises:
        PresetError: If the name is unknown (close names are listed), or a task occurs twice.
        ConfigError: If the YAML is wrong.
    """
    suite = SUITES.load(SuiteSpec, name)
    tasks = [Path(entry.task).stem for entry in suite.entries]
    if twice := sorted({task for task in tasks if tasks.count(task) > 1}):
        raise PresetError(f"{Path(name).stem} names {', '.join(twice)} twice; each task has one folder of results.")
    return suite


def evaluate_suite(
    system: LoadedSystem | System[Any] | str | Path | None,
    suite: str | SuiteSpec,
    data_root: Path,
    out_dir: Path,
    options: EvaluateOptions | None = None,
) -> SuiteRun:
    """Evaluate a system on every task of a suite whose data is there and that it can answer.

    Each task has its own folder below ``out_dir`` and is resumed on its own. ``suite.json`` is written after
    every task.

    Args:
        system: A system, the name of a preset or the directory of a saved one; None when rescoring or merging.
        suite: Name of a built-in suite, path of a suite's YAML, or the spec itself.
        data_root: Folder that the entries' data folders lie in.
        out_dir: Where everything is written.
        options: How to evaluate each task; ``previous`` is the folder of an earlier run of the suite.

    Raises:
        TaskError: If another process works in the folder, or no task could be run.
    """
    options = options or EvaluateOptions()
    spec = suite if isinstance(suite, SuiteSpec) else load_suite(suite)
    run = SuiteRun()
    for entry in spec.entries:  # a misspelt name must not cost hours
        load_task(entry.task)
    with hold(out_dir, f"suite-{options.shard.label}"):
        needs_system = not (options.is_rescore or options.is_merge)
        loaded = load_for_evaluation(system) if needs_system and system is not None else None
        blind = None if options.blind is None or not needs_system else load_for_evaluation(options.blind)
        for entry in spec.entries:
            _one_task(loaded, entry, (data_root, out_dir), replace(options, blind=blind), run)
            write_json(out_dir / SUITE_NAME, suite_summary(spec, run, data_root))
        if not run.results and not run.waiting:
            reasons = "\n  ".join(f"{task}: {reason}" for task, reason in run.skipped.items())
            raise TaskError(f"No task of suite {spec.name} could be run:\n  {reasons}")
        if options.has_report and run.results:
            from geoprose.evaluation.report.build import write_suite_report

            write_suite_report(out_dir)
    return run


def suite_summary(spec: SuiteSpec, run: SuiteRun, data_root: Path) -> dict[str, Any]:
    """Return the content of ``suite.json``."""
    first = next(iter(run.results.values()), {})
    folders = {Path(entry.task).stem: str((data_root / entry.data).resolve()) for entry in spec.entries}
    return {
        "suite": spec.name,
        "title": spec.title,
        "description": spec.description,
        "system": first.get("system"),
        "tasks": {name: _summary(result) | {"data": folders[name]} for name, result in run.results.items()},
        "skipped": run.skipped,
        "waiting": run.waiting,
    }


def _summary(result: dict[str, Any]) -> dict[str, Any]:
    """Return of a result what tables over many tasks need."""
    kept = ("overall", "aggregates", "parse_failures", "images", "task_sha256", "data_sha256")
    types = {name: _head(block) for name, block in result["by_type"].items()}
    baselines = {source: _head(report["overall"]) for source, report in result["baselines"].items()}
    return {key: result[key] for key in kept if key in result} | {"by_type": types, "baselines": baselines}


def _head(block: dict[str, Any]) -> dict[str, Any]:
    return {
        key: block[key] for key in ("n", "metric", "score", "accuracy", "ci95", "parse_failure_rate") if key in block
    }


def _one_task(
    loaded: LoadedSystem | None,
    entry: SuiteEntry,
    dirs: tuple[Path, Path],
    options: EvaluateOptions,
    run: SuiteRun,
) -> None:
    """Evaluate one task; what keeps it from running is kept as the reason."""
    data_root, out_dir = dirs
    name = Path(entry.task).stem
    previous = None if options.previous is None else options.previous / name
    own = replace(options, previous=previous, on_progress=_named(options.on_progress, name))
    try:
        task = load_task(entry.task)
        if not (data_root / entry.data).is_dir():
            raise DataError(f"{data_root} lacks {entry.data}.")
        result = evaluate(loaded, task, data_root / entry.data, out_dir / name, own)
    except (DataError, TaskError, InputError) as error:
        run.skipped[name] = str(error)
        logger.warning("task %s is skipped: %s", name, error)
        return
    except GeoproseError as error:
        raise type(error)(f"Task {name}: {error}") from error
    if "waiting_for" in result:
        run.waiting[name] = result["waiting_for"]
    else:
        run.results[name] = result


def _named(on_progress: Progress | None, task: str) -> Progress | None:
    return None if on_progress is None else lambda who, done, total: on_progress(f"{task}: {who}", done, total)
