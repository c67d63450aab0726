"""The score table as plain text."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LABELS = {
    "shuffled": "shuffled",
    "majority": "majority",
    "majority_per_question": "maj./question",
    "colour": "colour",
    "probe": "probe",
    "blind": "blind",
    "previous": "previous",
}


def score_table(result: Mapping[str, Any]) -> str:
    """Return the scores of ``result.json`` as aligned text: a row per question type, a column per baseline."""
    baselines = list(result["baselines"])
    header = ["", "n", "system", "95 % interval", *(LABELS.get(name, name) for name in baselines), "unparsed"]
    rows = [header]
    for name, block in [*result["by_type"].items(), ("overall", result["overall"])]:
        others = [_block(result["baselines"][source], name) for source in baselines]
        interval = interval_text(block, partial(_figure, block=block))
        failures = f"{100 * block['parse_failure_rate']:.1f} %" if "parse_failure_rate" in block else ""
        figures = [_figure(other["score"], other) for other in others]
        rows.append(
            [
                _label(name, block),
                str(block["n"]),
                _figure(block["score"], block),
                interval,
                *figures,
                failures,
            ]
        )
    return aligned(rows)


def interval_text(block: Mapping[str, Any], show: Callable[[float], str]) -> str:
    """Return "low - high"; "one picture" where there are too few pictures for an interval."""
    ends = block["ci95"]
    return "one picture" if ends is None else " - ".join(show(end) for end in ends)


def suite_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the overall scores of many tasks as aligned text: a row per task, a column per baseline."""
    sources = list(dict.fromkeys(source for result in results.values() for source in result["baselines"]))
    rows = [["", "n", "system", "95 % interval", *(LABELS.get(name, name) for name in sources), "unparsed"]]
    for task, result in results.items():
        block = result["overall"]
        others = [result["baselines"].get(source) for source in sources]
        figures = ["-" if other is None else _figure(other["overall"]["score"], block) for other in others]
        interval = interval_text(block, partial(_figure, block=block))
        failures = f"{100 * result['parse_failures']['rate']:.1f} %"
        rows.append(
            [_label(task, block), str(block["n"]), _figure(block["score"], block), interval, *figures, failures]
        )
    return aligned([*rows, [f"{len(results)} tasks", *[""] * (len(rows[0]) - 1)]])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as text in columns, a line below the first row and above the last one."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    lines.insert(-1, "-" * len(lines[1]))
    return "\n".join(line.rstrip() for line in lines)


def _block(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    block: Mapping[str, Any] = report["overall"] if name == "overall" else report["by_type"][name]
    return block


def _label(name: str, block: Mapping[str, Any]) -> str:
    return name if block["metric"] == "accuracy" else f"{name} ({block['metric']})"


def _figure(value: float, block: Mapping[str, Any]) -> str:
    """Percent for scores in 0..1, the metric's own scale times 100 for captions, as papers print both."""
    return f"{100 * value:.1f}" if block["n"] else "-"
