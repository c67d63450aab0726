"""The offline page of a reproduction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.files import write_text
from geoprose.evaluation.report.build import render_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

TEMPLATE_DIR = Path(__file__).parent / "templates"


def write_report(path: Path, result: Mapping[str, Any], charts: Sequence[Markup]) -> None:
    """Write the page of a reproduction from ``result.json`` and its drawings."""
    values = {
        "title": result["title"],
        "description": result["question"],
        "who": [f"reproduction {result['name']}", f"scale {result['scale']}"],
        "result": result,
        "charts": charts,
        "groups": _groups(result["metrics"]),
        "cost_columns": list(dict.fromkeys(key for row in result["costs"].values() for key in row)),
        "facts": _facts(result),
    }
    write_text(path, render_page("reproduction.html.j2", values, TEMPLATE_DIR))


def _groups(metrics: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Return the headings over the columns with the number of columns below each."""
    groups: list[tuple[str, int]] = []
    for one in metrics:
        if groups and groups[-1][0] == one["group"]:
            groups[-1] = (one["group"], groups[-1][1] + 1)
        else:
            groups.append((one["group"], 1))
    return groups


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    seconds = [value for phases in result["seconds"].values() for value in phases.values()]
    facts = [("source", result["source"]), *((key, str(value)) for key, value in result["settings"].items())]
    facts.append(("questions", ", ".join(f"{name} {count}" for name, count in result["questions"].items())))
    facts.append(("trials", f"{len(result['seconds'])} in {sum(seconds):.0f} s of wall time"))
    facts.append(("hardware", ", ".join(f"{key} {value}" for key, value in result["hardware"].items())))
    facts.append(("commit", str(result["git_commit"])))
    return facts
