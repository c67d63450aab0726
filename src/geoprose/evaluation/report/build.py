"""Collect what the report shows and render it; every value from data is escaped by the template engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.files import write_text
from geoprose.evaluation.metrics.normalise import normalise_answer
from geoprose.evaluation.predictions import Prediction, question_of, references_of
from geoprose.evaluation.report import plots
from geoprose.evaluation.report.map import correctness_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.core.types import Sample
    from geoprose.evaluation.scoring import Scored
    from geoprose.evaluation.tasks import TaskSpec

TEMPLATE_DIR = Path(__file__).parent
CONFUSION_TYPES = ("dominant", "location", "amount", "scene")
NAMES = {
    "system": "system",
    "shuffled": "same system, pictures shuffled",
    "majority": "majority answer per type",
    "majority_per_question": "majority answer per question text",
    "colour": "colour statistics, symbolic",
    "probe": "encoder probe, symbolic",
    "blind": "system trained without pictures",
}
SHORT = {"majority_per_question": "majority / question", "majority": "majority / type"}


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the report is made from.

    Attributes:
        task: The task.
        result: ``result.json``.
        samples: The samples, in order.
        predictions: Raw answers per source, in that order.
        scored: Judgements per source, in that order.
        data_dir: Folder that image paths are relative to.
    """

    task: TaskSpec
    result: Mapping[str, Any]
    samples: Sequence[Sample]
    predictions: Mapping[str, Sequence[Prediction]]
    scored: Mapping[str, Scored]
    data_dir: Path


def write_report(path: Path, inputs: ReportInputs) -> None:
    """Write the report as one HTML file that loads nothing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_DIR),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f}"
    environment.filters["signed"] = lambda value: f"{100 * value:+.1f}"
    write_text(path, environment.get_template("template.html.j2").render(**_context(inputs)))


def _context(inputs: ReportInputs) -> dict[str, Any]:
    result = inputs.result
    sources = list(result["baselines"])
    return {
        "task": inputs.task,
        "result": result,
        "names": NAMES,
        "columns": [(source, SHORT.get(source, source)) for source in sources],
        "rows": _table_rows(result, inputs.task),
        "cards": _cards(result),
        "score_plot": plots.score_plot(result, NAMES),
        "confusions": _confusions(inputs),
        "map": correctness_map(
            inputs.samples, inputs.scored["system"], tuple(result["overall_types"]), inputs.data_dir
        ),
        "examples": _examples(inputs),
        "facts": _facts(result),
    }


def _table_rows(result: Mapping[str, Any], task: TaskSpec) -> list[dict[str, Any]]:
    """Return one row per type, then the aggregates; each cell knows whether the system is clearly above it."""
    groups: list[tuple[str, str]] = [(name, "by_type") for name in result["by_type"]]
    groups += [("overall", ""), *((name, "aggregates") for name in result["aggregates"])]
    rows = []
    for name, kind in groups:
        block = _at(result, name, kind)
        cells = []
        for source, report in result["baselines"].items():
            gaps = result["differences"][source]
            gap = gaps["by_type"][name] if kind == "by_type" else gaps[name]
            verdict = "above" if gap["ci95"][0] > 0 else "below" if gap["ci95"][1] < 0 else "near"
            cells.append({"block": _at(report, name, kind), "gap": gap, "verdict": verdict})
        chance = task.question_type(name).chance if kind == "by_type" else ""
        rows.append({"name": name, "kind": kind or "overall", "block": block, "cells": cells, "chance": chance})
    return rows


def _at(report: Mapping[str, Any], name: str, kind: str) -> Mapping[str, Any]:
    block: Mapping[str, Any] = report[kind][name] if kind else report[name]
    return block


def _cards(result: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the headline figures: the score, then what it is above."""
    overall = result["overall"]
    low, high = overall["ci95"]
    unit = "%" if overall["accuracy"] is not None else f"{overall['metric']} x 100"
    cards = [{"label": "overall score", "value": f"{100 * overall['score']:.1f}", "unit": unit,
              "note": f"95 % interval {100 * low:.1f} to {100 * high:.1f}"}]  # fmt: skip
    for source in ("shuffled", "blind", "majority_per_question"):
        if source in result["differences"]:
            gap = result["differences"][source]["overall"]
            cards.append(
                {
                    "label": f"above: {NAMES[source]}",
                    "value": f"{100 * gap['difference']:+.1f}",
                    "unit": "points",
                    "note": f"95 % interval {100 * gap['ci95'][0]:+.1f} to {100 * gap['ci95'][1]:+.1f}",
                }
            )
    failures = result["parse_failures"]
    cards.append({"label": "answers that could not be read", "value": str(failures["n"]), "unit": "",
                  "note": f"{100 * failures['rate']:.1f} %; they count as wrong"})  # fmt: skip
    return cards


def _confusions(inputs: ReportInputs) -> list[str]:
    drawn = []
    for name in CONFUSION_TYPES:
        kept = [place for place, sample in enumerate(inputs.samples) if sample.task == name]
        if kept and name in inputs.result["by_type"]:
            right = [normalise_answer(references_of(inputs.samples[place])[0]) for place in kept]
            given = [inputs.scored["system"].judgements[place].label for place in kept]
            drawn.append(plots.confusion_plot(name, right, given))
    return drawn


def _examples(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Return right and wrong examples of each type, spread over the samples."""
    groups = []
    for name in inputs.result["by_type"]:
        places = [place for place, sample in enumerate(inputs.samples) if sample.task == name]
        scores = {place: inputs.scored["system"].judgements[place].score for place in places}
        middle = sum(scores.values()) / len(scores)
        cut = 1.0 if inputs.result["by_type"][name]["metric"] in ("accuracy", "acc@0.5") else max(middle, 1e-9)
        right = [place for place in places if scores[place] >= cut]
        wrong = [place for place in places if scores[place] < cut]
        count = inputs.task.examples_per_type
        chosen = [(place, True) for place in _spread(right, count)] + [
            (place, False) for place in _spread(wrong, count)
        ]
        groups.append({"type": name, "items": [_example(inputs, place, is_right) for place, is_right in chosen]})
    return groups


def _example(inputs: ReportInputs, place: int, is_right: bool) -> dict[str, Any]:
    sample = inputs.samples[place]
    others = {
        SHORT.get(source, source): rows[place].prediction
        for source, rows in inputs.predictions.items()
        if source in ("shuffled", "blind", "colour", "probe")
    }
    return {
        "id": sample.id,
        "pictures": [plots.picture_uri(inputs.data_dir / image) for image in sample.images],
        "question": question_of(sample),
        "answer": inputs.predictions["system"][place].prediction,
        "reference": references_of(sample)[0],
        "score": inputs.scored["system"].judgements[place].score,
        "is_right": is_right,
        "others": others,
    }


def _spread(places: Sequence[int], count: int) -> list[int]:
    if len(places) <= count:
        return list(places)
    return [places[round(step * (len(places) - 1) / max(count - 1, 1))] for step in range(count)]


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the run's facts as name and text."""
    seconds = ", ".join(f"{name} {value:g} s" for name, value in result["seconds"].items())
    plain = {key: json.dumps(result[key]) for key in ("decoding", "seeds", "hardware")}
    return [
        ("system", f"{result['system']['name']} ({result['system']['parameters']:,} parameters)"),
        ("system spec", result["system"]["spec_sha256"]),
        ("task spec", result["task_sha256"]),
        ("data", "; ".join(f"{name} {digest[:16]}" for name, digest in result["data_sha256"].items())),
        ("time to answer", seconds),
        ("peak memory", f"{result['peak_memory_mib']:,.0f} MiB"),
        ("decoding", plain["decoding"]),
        ("seeds", plain["seeds"]),
        ("hardware", plain["hardware"]),
        ("versions", ", ".join(f"{name} {number}" for name, number in result["versions"].items())),
        ("commit", result["git_commit"] or "not a git checkout"),
        ("limit", "all questions" if result["limit"] is None else f"{result['limit']} questions"),
        ("left out", json.dumps(result["skipped_types"]) if result["skipped_types"] else "no question"),
    ]
