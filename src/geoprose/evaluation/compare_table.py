"""Comparisons as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.evaluation.table import aligned, interval_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def comparison_table(comparison: Mapping[str, Any]) -> str:
    """Return a comparison of two runs: a row per question type, then overall, then the warnings."""
    header = ["", "n", "first", "second", "difference", "95 % interval", "gained", "lost", "p", "p (Holm)", "McNemar"]
    rows = [header]
    rows += [_row(name, block) for name, block in comparison["by_type"].items()]
    rows.append(_row("overall", comparison["overall"]))
    names = [f"first:  {comparison['first']['name']}", f"second: {comparison['second']['name']}"]
    return "\n".join([*names, "", aligned(rows), *_warning_lines(comparison)])


def runs_table(comparison: Mapping[str, Any]) -> str:
    """Return the scores of several runs: a row per question type, a column per run, then the warnings."""
    runs = comparison["runs"]
    rows = [["", *(run["name"] for run in runs)]]
    for name in dict.fromkeys(name for run in runs for name in run["by_type"]):
        rows.append([name, *(_score(run["by_type"].get(name)) for run in runs)])
    rows.append(["overall", *(_score(run["overall"]) for run in runs)])
    return "\n".join([aligned(rows), *_warning_lines(comparison)])


def _row(name: str, block: Mapping[str, Any]) -> list[str]:
    mcnemar, corrected = block["p_mcnemar"], block.get("p_permutation_holm")
    return [
        name,
        str(block["n"]),
        f"{100 * block['first']:.1f}",
        f"{100 * block['second']:.1f}",
        f"{100 * block['difference']:+.1f}",
        interval_text(block, lambda end: f"{100 * end:+.1f}").replace(" - ", " to "),
        str(block["gained"]),
        str(block["lost"]),
        f"{block['p_permutation']:.2g}",
        "" if corrected is None else f"{corrected:.2g}",
        "" if mcnemar is None else f"{mcnemar:.2g}",
    ]


def _warning_lines(comparison: Mapping[str, Any]) -> list[str]:
    lines = [f"warning: {warning}" for warning in comparison["warnings"]]
    return ["", *lines] if lines else []


def _score(block: Mapping[str, Any] | None) -> str:
    if block is None or not block["n"]:
        return "-"
    interval = interval_text(block, lambda end: f"{100 * end:.1f}")
    return f"{100 * block['score']:.1f} ({interval}), n {block['n']}"
