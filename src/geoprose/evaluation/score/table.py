"""A scored file as plain text: every variant side by side, then the warnings."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.table import interval_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WIDTH = 118
_HIDDEN = frozenset(
    {
        *("n", "metric", "score", "accuracy", "ci95", "parse_failure_rate", "unparsed", "protocol", "variant"),
        *("variants", "tables", "unavailable", "confusion"),
    }
)


def file_score_table(result: Mapping[str, Any]) -> str:
    """Return the result of `score_file` as text: a block per question type, one line per variant, the default first."""
    lines = [*_head(result), ""]
    explained: set[tuple[str, str]] = set()
    for name, block in result["by_type"].items():
        lines += [*_type_lines(name, block, explained), ""]
    if len(result["by_type"]) > 1:
        lines += [*_mean_lines("overall", result["overall"], result["overall_types"]), ""]
    for name, block in result["aggregates"].items():
        if block["n"]:
            lines += [*_mean_lines(name, block, ()), ""]
    lines += _warning_lines(result["warnings"])
    return "\n".join(_printable(line) for line in lines).rstrip()


def _head(result: Mapping[str, Any]) -> list[str]:
    predictions, counts = result["predictions"], result["counts"]
    told = "told from its keys" if predictions["is_layout_sniffed"] else "as named"
    pictures = (
        f"{result['images']} pictures, list {result['image_list_sha256'][:12]}"
        if result["images"]
        else "no pictures named"
    )
    codec = result["box_codec"]
    return [
        f"{predictions['file']}: {predictions['layout']} layout ({told}), {counts['rows']} rows, "
        f"{counts['scored']} scored; {pictures}",
        f"task {result['task']} version {result['task_version']}; boxes, if any, read as {codec['name']} "
        f"({codec['chosen']})",
    ]


def _type_lines(name: str, block: Mapping[str, Any], explained: set[tuple[str, str]]) -> list[str]:
    title = f"{name}: {block['metric']}, n {block['n']}"
    lines = [title + (f", protocol {block['protocol']}" if block["protocol"] else "")]
    words = {
        variant: _words(one) if (block["protocol"], variant) not in explained else "FAULTY" * bool(one["fault"])
        for variant, one in block["variants"].items()
    }
    explained.update((block["protocol"], variant) for variant in words)
    lines += _variant_lines(block["variants"], words)
    lines += _beside_lines("the default", {key: value for key, value in block.items() if key not in _HIDDEN})
    for variant, one in list(block["variants"].items())[1:]:
        lines += _beside_lines(variant, one.get("corpus", {}))
    for what, reason in block["unavailable"].items():
        lines += textwrap.wrap(f"not available: {what}: {reason}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def _beside_lines(name: str, figures: Mapping[str, Any]) -> list[str]:
    shown = ", ".join(f"{key} {_beside(value)}" for key, value in figures.items() if isinstance(value, int | float))
    if not shown:
        return []
    return textwrap.wrap(f"beside {name}: {shown}", WIDTH, initial_indent="  ", subsequent_indent="    ")


def _mean_lines(name: str, block: Mapping[str, Any], types: Iterable[str]) -> list[str]:
    over = ", ".join(types)
    head = f"{name}: mean over questions, n {block['n']}; mean over types {_figure(block['macro'])}"
    words = {variant: "FAULTY" * bool(one["fault"]) for variant, one in block["variants"].items()}
    return [head + (f"; {over}" if over else ""), *_variant_lines(block["variants"], words)]


def _words(block: Mapping[str, Any]) -> str:
    return f"FAULTY: {block['fault']}" if block["fault"] else str(block["differs"])


def _variant_lines(variants: Mapping[str, Mapping[str, Any]], words: Mapping[str, str]) -> list[str]:
    rows = [("variant", "score", "95 % interval", "unparsed", "")]
    for name, block in variants.items():
        interval = interval_text(block, _figure)
        rows.append((name, _figure(block["score"]), interval, str(block["unparsed"]), words[name]))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:4], widths[1:], strict=True)),
        ]
        start = "  " + "  ".join(cells) + "  "
        wrapped = textwrap.wrap(row[4], max(WIDTH - len(start), 40)) or [""]
        lines += [(start + wrapped[0]).rstrip(), *(" " * len(start) + more for more in wrapped[1:])]
    return lines


def _warning_lines(warnings: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = []
    for warning in warnings:
        where = f"{warning['type']}: " if warning["type"] else ""
        shown = f" For instance {'; '.join(warning['examples'])}." if warning["examples"] else ""
        lines += textwrap.wrap(f"! {where}{warning['message']}{shown}", WIDTH, subsequent_indent="  ")
    return ["warnings", *lines] if lines else ["no warnings"]


def _printable(line: str) -> str:
    """Replace control characters: names and answers come from a foreign file and go to a terminal."""
    return line if line.isprintable() else "".join(sign if sign.isprintable() else " " for sign in line)


def _figure(value: float) -> str:
    """Percent for scores in 0..1, the metric's own scale times 100 for captions, as papers print both."""
    return f"{100 * value:.2f}"


def _beside(value: float) -> str:
    return _figure(value) if 0 <= value <= 1 else f"{value:.2f}"
