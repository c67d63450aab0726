"""What the page of one run shows, as plain values for the templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.report.figures import PERCENT, show, show_plain, unit_of_block
from geoprose.evaluation.report.tables import Shown, show_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.report.files import RunFiles

NAMES = {
    "system": "system",
    "shuffled": "same system, pictures shuffled",
    "majority": "majority answer per type",
    "majority_per_question": "majority answer per question text",
    "colour": "colour statistics, no network",
    "probe": "encoder probe, symbolic",
    "blind": "system trained without pictures",
    "previous": "an earlier run",
}
SHORT = {"majority_per_question": "majority / question", "majority": "majority / type"}
RULERS = ("previous", "shuffled", "blind", "majority_per_question", "majority")
"""Baselines that get a card, the first three that were run."""
KNOWN_KEYS = {
    *("n", "metric", "score", "accuracy", "ci95", "parse_failure_rate", "variants", "tables", "confusion"),
    *("unavailable", "oa", "aa", "kappa", "macro_f1", "protocol", "variant", "unparsed", "warnings"),
}
"""Keys of a block that have a place of their own; every other number is a further figure."""


@dataclass(frozen=True)
class Row:
    """One line of the table of scores.

    Attributes:
        name: Question type or aggregate.
        kind: ``by_type``, ``overall`` or ``aggregates``.
        block: Its block of the result.
        unit: Unit of the score.
        cells: Per baseline its score, the difference and a verdict, as text.
        low: Lower end of the interval on the bar, percent; None where no bar is drawn.
        high: Upper end.
        marks: Baselines on the bar: name and place in percent.
        chance: What a guess reaches.
    """

    name: str
    kind: str
    block: Mapping[str, Any]
    unit: str
    cells: tuple[tuple[str, str, str], ...]
    low: float | None
    high: float | None
    marks: tuple[tuple[str, float], ...]
    chance: str = ""


def score_rows(result: Mapping[str, Any], task: Mapping[str, Any]) -> list[Row]:
    """Return one row per question type, then overall, then the aggregates."""
    groups = [(name, "by_type") for name in result.get("by_type", {})]
    groups += [("overall", "overall")] if "overall" in result else []
    groups += [(name, "aggregates") for name in result.get("aggregates", {})]
    return [_row(name, kind, result, task) for name, kind in groups]


def block_at(report: Mapping[str, Any], name: str, kind: str) -> Mapping[str, Any]:
    """Return a block of a result or of a baseline's report; empty when it is not there."""
    found = report.get("overall", {}) if kind == "overall" else report.get(kind, {}).get(name, {})
    return found if isinstance(found, Mapping) else {}


def _row(name: str, kind: str, result: Mapping[str, Any], task: Mapping[str, Any]) -> Row:
    block = block_at(result, name, kind)
    unit = unit_of_block(block)
    cells, marks = [], []
    for source, report in result.get("baselines", {}).items():
        other = block_at(report, name, kind)
        gap = _gap(result, source, name, kind)
        verdict = _verdict(gap)
        difference = show(gap["difference"], unit, has_sign=True) if gap else ""
        cells.append((show(other.get("score"), unit), difference, verdict))
        if unit == PERCENT and other.get("score") is not None:
            marks.append((source, _clamped(100 * other["score"])))
    low, high = (
        (_clamped(100 * end) for end in block["ci95"]) if unit == PERCENT and block.get("ci95") else (None, None)
    )
    spec = task.get("types", {}).get(name) or {}
    chance = str(spec.get("chance", "")) if kind == "by_type" else ""
    return Row(name, kind, block, unit, tuple(cells), low, high, tuple(marks), chance)


def _gap(result: Mapping[str, Any], source: str, name: str, kind: str) -> Mapping[str, Any]:
    gaps = result.get("differences", {}).get(source, {})
    found = gaps.get("by_type", {}).get(name, {}) if kind == "by_type" else gaps.get(name, {})
    return found if isinstance(found, Mapping) else {}


def _verdict(gap: Mapping[str, Any]) -> str:
    if not gap.get("ci95"):
        return ""
    return "above" if gap["ci95"][0] > 0 else "below" if gap["ci95"][1] < 0 else "near"


def _clamped(value: float) -> float:
    return round(min(max(value, 0.0), 100.0), 2)


def cards(result: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the headline figures: the score, what it is above, what could not be read."""
    shown = []
    if overall := result.get("overall", {}):
        unit = unit_of_block(overall)
        note = f"{overall.get('metric', '')}, {overall.get('n', 0):,} answers"
        if "ci95" in overall:
            note = f"95 % interval {intervals_text(overall, unit)}; {note}"
        shown.append(_card("overall score", show(overall.get("score"), unit), unit, note))
    for source in [name for name in RULERS if name in result.get("differences", {})][:3]:
        gap = result["differences"][source].get("overall")
        if gap:
            unit = unit_of_block(result["overall"])
            ends = [show(end, unit, has_sign=True) for end in gap.get("ci95") or ()]
            value = show(gap["difference"], unit, has_sign=True)
            note = f"95 % interval {' to '.join(ends)}, paired" if ends else "too few pictures for an interval"
            shown.append(_card(f"above: {NAMES.get(source, source)}", value, "points" if unit == PERCENT else "", note))
    if failures := result.get("parse_failures", {}):
        note = f"{100 * failures.get('rate', 0):.1f} %; they count as wrong"
        shown.append(_card("answers that could not be read", f"{failures.get('n', 0):,}", "", note))
    return shown


def _card(label: str, value: str, unit: str, note: str) -> dict[str, str]:
    return {"label": label, "value": value, "unit": unit, "note": note}


@dataclass(frozen=True)
class Variants:
    """The protocol variants of one question type, the default first.

    Attributes:
        type: Question type.
        protocol: Name of the protocol; empty when unknown.
        rows: Per variant: name, block, difference from the default as text, unit, and bar in percent or None.
    """

    type: str
    protocol: str
    rows: tuple[tuple[str, Mapping[str, Any], str, str, float | None], ...]


def variants_of(result: Mapping[str, Any], task: Mapping[str, Any]) -> list[Variants]:
    """Return the variants of each question type that has more than one."""
    found = []
    for name, block in result.get("by_type", {}).items():
        variants = block.get("variants") or {}
        if len(variants) < 2:
            continue
        protocol = str(block.get("protocol") or (task.get("types", {}).get(name) or {}).get("protocol", ""))
        default = block.get("variant") or next(iter(variants))
        base, metric = (variants.get(default, {}).get(key) for key in ("score", "metric"))
        unit = unit_of_block(block)
        rows = tuple(_variant_row(own, variants[own], (base, unit, metric), own == default) for own in variants)
        found.append(Variants(name, protocol, rows))
    return found


def _variant_row(
    name: str, block: Mapping[str, Any], default: tuple[float | None, str, str | None], is_default: bool
) -> tuple[str, Mapping[str, Any], str, str, float | None]:
    base, default_unit, metric = default
    unit = unit_of_block(block) if "metric" in block else default_unit
    score = block.get("score")
    # Scores of different metrics lie on different scales: their difference says nothing.
    gap = "default" if is_default else ""
    if not is_default and score is not None and base is not None and block.get("metric") == metric:
        gap = show(score - base, unit, has_sign=True)
    is_share = score is not None and 0 <= score <= 1 and unit == PERCENT
    return name, block, gap, unit, _clamped(100 * score) if score is not None and is_share else None


def details_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the further figures, tables and unavailable figures of each question type that has any."""
    found = []
    for name, block in result.get("by_type", {}).items():
        figures = [
            (key, show_plain(value))
            for key, value in block.items()
            if key not in KNOWN_KEYS and isinstance(value, int | float | str)
        ]
        tables: list[Shown] = show_tables(block.get("tables") or {})
        unavailable = sorted((block.get("unavailable") or {}).items())
        warnings = [str(text) for text in block.get("warnings") or ()]
        if figures or tables or unavailable or warnings:
            found.append(
                {"type": name, "figures": figures, "tables": tables, "unavailable": unavailable, "warnings": warnings}
            )
    return found


def warnings_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the warnings of a scored file: type, message, examples."""
    found = []
    for one in result.get("warnings") or ():
        known = one if isinstance(one, Mapping) else {"message": str(one)}
        examples = [str(example) for example in known.get("examples") or ()]
        found.append(
            {"type": str(known.get("type", "")), "message": str(known.get("message", "")), "examples": examples}
        )
    return found


def facts_of(files: RunFiles) -> list[tuple[str, str]]:
    """Return the run's facts as name and text; what was not recorded is left out."""
    result, run = {**files.run, **files.result}, files.run
    system = result.get("system", {})
    system = system if isinstance(system, Mapping) else {"name": str(system)}
    task = run.get("task", {})
    seconds = result.get("seconds") or {}
    memory = result.get("peak_memory_mib")
    facts: list[tuple[str, Any]] = [
        ("system", _system_words(system)),
        ("system spec", system.get("spec_sha256")),
        ("weights", system.get("weights_sha256")),
        ("task", f"{result.get('task', '')} version {task['version']}" if "version" in task else None),
        ("task spec", result.get("task_sha256")),
        ("task's source", task.get("source")),
        ("prompt", (task.get("prompt") or {}).get("template")),
        ("answering", task.get("answering")),
        ("data", "; ".join(f"{name} {digest[:16]}" for name, digest in (result.get("data_sha256") or {}).items())),
        ("image list", result.get("image_list_sha256")),
        ("predictions", json.dumps(result["predictions"]) if isinstance(result.get("predictions"), Mapping) else None),
        ("counts", json.dumps(result["counts"]) if result.get("counts") else None),
        ("time to answer", ", ".join(f"{name} {value:g} s" for name, value in seconds.items())),
        ("peak memory", f"{memory:,.0f} MiB" if memory is not None else None),
        *((key, json.dumps(result[key])) for key in ("decoding", "seeds", "hardware") if result.get(key)),
        ("versions", ", ".join(f"{name} {number}" for name, number in (result.get("versions") or {}).items())),
        ("commit", result.get("git_commit") or "not recorded"),
        ("limit", f"{result['limit']} questions" if result.get("limit") else "all questions"),
        ("left out", json.dumps(result["skipped_types"]) if result.get("skipped_types") else "no question"),
    ]
    return [(name, str(value)) for name, value in facts if value]


def _system_words(system: Mapping[str, Any]) -> str:
    parameters = system.get("parameters")
    words = str(system.get("name", "unknown"))
    return f"{words} ({parameters:,} parameters)" if isinstance(parameters, int) else words


def intervals_text(block: Mapping[str, Any], unit: str) -> str:
    """Return a block's 95 % interval as text; empty when there is none.

    A single picture says nothing about others: it has no interval, and that is said.
    """
    ends: Sequence[float] = block.get("ci95") or ()
    if "ci95" in block and not ends:
        return "too few pictures"
    return " to ".join(show(end, unit) for end in ends)
