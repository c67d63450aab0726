"""``result.json``, the report and the table as text: all made from what the trials left on the disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from geoprose.core import provenance
from geoprose.core.errors import TaskError
from geoprose.core.files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from geoprose.experiments.reproduce.base import Reproduction
    from geoprose.experiments.reproduce.score_table import ScoreTable

RESULT_FILE, REPORT_FILE, SECONDS_FILE = "result.json", "report.html", "seconds.json"


def write_outcomes(
    reproduction: Reproduction, table: ScoreTable, costs: Mapping[str, Any], seconds: Mapping[str, Any]
) -> dict[str, Any]:
    """Write ``result.json`` and ``report.html`` and return the former.

    Args:
        reproduction: What was reproduced.
        table: The figures so far.
        costs: What each arm costs; empty when it was not measured yet.
        seconds: Wall seconds of each trial by phase.
    """
    from geoprose.experiments.reproduce.report import write_report

    out_dir = reproduction.work.out_dir
    found = make_result(reproduction, table) | {
        "costs": costs,
        "seconds": seconds,
        "peak_memory_gib": round(provenance.peak_memory_bytes(with_children=True) / 2**30, 3),
        "versions": provenance.package_versions(),
        "hardware": provenance.hardware(),
        "git_commit": provenance.git_commit(),
    }
    result: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))  # as it is read back
    write_json(out_dir / RESULT_FILE, result)
    write_report(out_dir / REPORT_FILE, result, reproduction.charts(table) if table.arms else [])
    return result


def make_result(reproduction: Reproduction, table: ScoreTable) -> dict[str, Any]:
    """Return figures, differences from the first arm, and findings."""
    arms = [arm for arm in reproduction.arms() if arm.name in table.arms]
    columns = reproduction.metrics()
    reference = reproduction.arms()[0].name
    return {
        "name": reproduction.name,
        "title": reproduction.title,
        "question": reproduction.question,
        "source": reproduction.source,
        "scale": reproduction.work.scale,
        "settings": reproduction.settings.model_dump(mode="json"),
        "metrics": [
            {"name": one.name, "title": one.title, "group": one.group, "is_share": one.is_share} for one in columns
        ],
        "reference": reference,
        "arms": {
            arm.name: {
                "title": arm.title,
                "about": arm.about,
                "is_once": arm.is_once,
                "seeds": table.seeds(arm.name),
                "figures": {
                    one.name: table.estimate(arm.name, one.name).as_json()
                    for one in columns
                    if table.has(one.name, arm.name)
                },
                "differences": {
                    one.name: table.difference(arm.name, reference, one.name).as_json()
                    for one in columns
                    if arm.name != reference and table.has(one.name, arm.name, reference)
                },
            }
            for arm in arms
        },
        "missing": [arm.name for arm in reproduction.arms() if arm.name not in table.arms],
        "questions": {one.name: len(table.clusters(one.name)) for one in columns if table.has(one.name)},
        "findings": [finding.as_json() for finding in reproduction.findings(table)] if arms else [],
        "notes": list(reproduction.notes()),
    }


def result_table(result: Mapping[str, Any]) -> str:
    """Return the figures as aligned text: a row per arm, a column per figure, then the findings."""
    from geoprose.evaluation.table import aligned

    columns = result["metrics"]
    header = ["", "seeds", *(one["title"] for one in columns)]
    rows = [[arm["title"], str(len(arm["seeds"])), *(_cell(arm, one["name"]) for one in columns)]
            for arm in result["arms"].values()]  # fmt: skip
    asked = ["questions", "", *(str(result["questions"].get(one["name"], "-")) for one in columns)]
    lines = [aligned([header, *rows, asked])] if rows else ["no trial is finished yet"]
    for finding in result["findings"]:
        lines += ["", f"{finding['question']} {finding['outcome']}", f"  {finding['sentence']}"]
    return "\n".join(lines)


def _cell(arm: Mapping[str, Any], metric: str) -> str:
    figure = arm["figures"].get(metric)
    return (
        "-" if figure is None else f"{100 * figure['mean']:.1f} ({100 * figure['low']:.1f}-{100 * figure['high']:.1f})"
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is no file.

    Raises:
        TaskError: If the file is broken.
    """
    if not path.is_file():
        return {}
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TaskError(f"{path} is no JSON ({error}). Delete it and run again; what is finished is kept.") from error
    return values
