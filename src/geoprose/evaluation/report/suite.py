"""What the page of a suite shows: one line a task, read from ``suite.json`` and from each task's ``result.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from geoprose.core.errors import TaskError
from geoprose.evaluation.report.context import NAMES, SHORT
from geoprose.evaluation.report.figures import PERCENT, show, unit_of_block
from geoprose.evaluation.report.files import RESULT_NAME, RUN_NAME, SUITE_NAME, read_object


@dataclass(frozen=True)
class TaskLine:
    """One task of a suite.

    Attributes:
        name: Task, which is also its folder.
        title: Heading of the task.
        link: Relative address of its page; empty when there is none.
        block: Overall block of its result.
        unit: Unit of the score.
        variant: Protocols behind the score, by question type.
        low: Lower end of the interval on the bar, percent; None where no bar is drawn.
        high: Upper end.
        ruler: The strongest baseline: name, score, difference, verdict; None without baselines.
        unread: Share of answers that could not be read; None when it is not known.
        num_faulty: Flagged variants that were computed beside the score.
    """

    name: str
    title: str
    link: str
    block: Mapping[str, Any]
    unit: str
    variant: str
    low: float | None
    high: float | None
    ruler: tuple[str, str, str, str] | None
    unread: float | None
    num_faulty: int


def suite_context(out_dir: Path) -> dict[str, Any]:
    """Return the values of the suite's page.

    Raises:
        TaskError: If there is no readable ``suite.json``.
    """
    record = read_object(out_dir / SUITE_NAME)
    system = record.get("system", {})
    lines = [_line(out_dir, name, summary) for name, summary in (record.get("tasks") or {}).items()]
    return {
        "title": str(record.get("title") or record.get("suite") or "Suite"),
        "description": str(record.get("description", "")),
        "who": [str(system.get("name", "")) if isinstance(system, Mapping) else str(system or "")],
        "lines": lines,
        "skipped": sorted((record.get("skipped") or {}).items()),
        "waiting": sorted((record.get("waiting") or {}).items()),
        "names": NAMES,
        "num_answers": sum(int(line.block.get("n", 0)) for line in lines),
        "facts": _facts(record),
    }


def task_folders(folder: Path, data_root: Path | None) -> list[tuple[Path, Path | None]] | None:
    """Return the folders of a suite's scored tasks with their data folders; None when the folder is a run's.

    Raises:
        TaskError: If the folder holds neither a run nor a suite.
    """
    if (folder / RESULT_NAME).is_file():
        return None
    if not (folder / SUITE_NAME).is_file():
        raise TaskError(
            f"{folder} holds neither {RESULT_NAME} nor {SUITE_NAME}. Give a folder that `geoprose evaluate` or "
            "`geoprose score --out` wrote to."
        )
    found = []
    for name, summary in (read_object(folder / SUITE_NAME).get("tasks") or {}).items():
        data = summary.get("data") if isinstance(summary, Mapping) else None
        own_data = data_root / Path(str(data)).name if data_root is not None and data else None
        own = folder / name
        if own.resolve().is_relative_to(folder.resolve()) and (own / RESULT_NAME).is_file():
            found.append((own, own_data))
    return found


def _line(out_dir: Path, name: str, summary: Any) -> TaskLine:
    folder = out_dir / name
    is_inside = folder.resolve().is_relative_to(out_dir.resolve())
    has_result = is_inside and (folder / RESULT_NAME).is_file()
    result = read_object(folder / RESULT_NAME) if has_result else summary if isinstance(summary, Mapping) else {}
    task = read_object(folder / RUN_NAME).get("task", {}) if has_result and (folder / RUN_NAME).is_file() else {}
    block = result.get("overall", {})
    unit = unit_of_block(block)
    is_share = unit == PERCENT and bool(block.get("ci95"))
    low, high = (min(max(100 * end, 0.0), 100.0) for end in block["ci95"]) if is_share else (None, None)
    kinds = dict.fromkeys(_protocol(type_name, own, task) for type_name, own in result.get("by_type", {}).items())
    variants = [one for own in result.get("by_type", {}).values() for one in (own.get("variants") or {}).values()]
    return TaskLine(
        name,
        str(task.get("title", "")),
        f"{quote(name)}/report.html" if is_inside and (folder / "report.html").is_file() else "",
        block,
        unit,
        ", ".join(kind for kind in kinds if kind),
        low,
        high,
        _ruler(result, unit),
        (result.get("parse_failures") or {}).get("rate"),
        sum(bool(one.get("fault")) for one in variants),
    )


def _protocol(name: str, block: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    protocol = str(block.get("protocol") or (task.get("types", {}).get(name) or {}).get("protocol", ""))
    variant = block.get("variant") or next(iter(block.get("variants") or {}), "")
    return f"{protocol}: {variant}" if protocol and variant else protocol


def _ruler(result: Mapping[str, Any], unit: str) -> tuple[str, str, str, str] | None:
    """Return the baseline with the highest overall score; what a system must beat to have learnt anything."""
    scores = {
        source: report["overall"]["score"]
        for source, report in (result.get("baselines") or {}).items()
        if "overall" in report
    }
    if not scores:
        return None
    source = max(scores, key=lambda name: scores[name])
    gap = (result.get("differences") or {}).get(source, {}).get("overall", {})
    low, high = gap.get("ci95") or (0, 0)
    verdict = "above" if low > 0 else "below" if high < 0 else "near"
    return SHORT.get(source, source), show(scores[source], unit), show(gap.get("difference"), unit, True), verdict


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    system = record.get("system")
    facts = [("suite", record.get("suite"))]
    if isinstance(system, Mapping):
        parameters = system.get("parameters")
        facts += [("system", system.get("name")), ("system spec", system.get("spec_sha256"))]
        facts += [("weights", system.get("weights_sha256")), ("parameters", f"{parameters:,}" if parameters else None)]
    return [(name, str(value)) for name, value in facts if value]
