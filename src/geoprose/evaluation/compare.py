"""Two runs on the same samples: what differs, by how much, and whether that could be chance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.core.files import write_json, write_jsonl
from geoprose.evaluation.aggregate import ClusteredBootstrap
from geoprose.evaluation.outcomes import Outcome, read_outcomes
from geoprose.evaluation.predictions import PREDICTIONS_NAME, Prediction, read_predictions
from geoprose.evaluation.significance import flips, holm, mcnemar_exact, permutation_test

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COMPARISON_NAME = "comparison.json"
FLIPS_NAME = "flips.jsonl"
FACTS = ("task", "task_sha256", "data_sha256", "image_list_sha256", "decoding", "limit", "versions")
"""Of ``result.json``: what must be equal for a difference to be the systems' own."""


@dataclass(frozen=True)
class ScoredRun:
    """What a run left on the disk.

    Attributes:
        folder: Its folder.
        result: ``result.json``.
        outcomes: Judgements by sample id.
        predictions: Raw answers by sample id; empty where the run was scored without them.
    """

    folder: Path
    result: dict[str, Any]
    outcomes: dict[str, Outcome]
    predictions: dict[str, Prediction]

    @property
    def name(self) -> str:
        """What the run is called in tables: its system and its folder."""
        system = self.result.get("system") or {}
        return f"{system.get('name', 'system')} ({self.folder.name})"


def read_scored_run(folder: Path) -> ScoredRun:
    """Read a run.

    Raises:
        TaskError: If it was not scored.
    """
    path = folder / "result.json"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TaskError(f"{path} cannot be read ({error}). Give the folder of a run that was scored.") from error
    has_answers = (folder / PREDICTIONS_NAME).is_file()
    rows = read_predictions(folder / PREDICTIONS_NAME) if has_answers else []
    return ScoredRun(folder, result, read_outcomes(folder), {row.id: row for row in rows})


def compare_runs(first_dir: Path, second_dir: Path, out_dir: Path | None = None) -> dict[str, Any]:
    """Compare the second run with the first one, sample by sample.

    Args:
        first_dir: Folder of the run that the other is compared with.
        second_dir: Folder of the run that is asked about; a positive difference is in its favour.
        out_dir: Where ``comparison.json`` and ``flips.jsonl`` (the samples whose score differs) are written, if
            anywhere.

    Returns:
        The content of ``comparison.json``.

    Raises:
        TaskError: If a run was not scored, or the two have no sample in common.
    """
    first, second = read_scored_run(first_dir), read_scored_run(second_dir)
    shared = [name for name in first.outcomes if name in second.outcomes]
    if not shared:
        raise TaskError(
            f"{first_dir} and {second_dir} have no sample in common. Compare runs of one task and data set."
        )
    warnings = _warnings(first, second, shared)
    pairs = [(first.outcomes[name], second.outcomes[name]) for name in shared]
    by_type = _by_type(pairs)
    counted = _counted_types(first, by_type)
    comparison = {
        "first": _identity(first),
        "second": _identity(second),
        "task": first.result.get("task"),
        "n": len(shared),
        "overall": _block([pair for pair in pairs if pair[0].task in counted]) | {"types": counted},
        "by_type": by_type,
        "warnings": warnings,
    }
    if out_dir is not None:
        write_json(out_dir / COMPARISON_NAME, comparison)
        write_jsonl(
            out_dir / FLIPS_NAME, [_flip(pair, first, second) for pair in pairs if pair[0].score != pair[1].score]
        )
    return comparison


def compare_many(folders: Sequence[Path]) -> dict[str, Any]:
    """Return the scores of several runs side by side; the first one is what the others must match.

    Raises:
        TaskError: If a run was not scored.
    """
    runs = [read_scored_run(folder) for folder in folders]
    warnings = [
        f"{run.folder}: {warning}"
        for run in runs[1:]
        for warning in _warnings(runs[0], run, [name for name in runs[0].outcomes if name in run.outcomes])
    ]
    rows = [_identity(run) | {"overall": run.result["overall"], "by_type": run.result["by_type"]} for run in runs]
    return {"runs": rows, "warnings": warnings}


def _identity(run: ScoredRun) -> dict[str, Any]:
    system = run.result.get("system") or {}
    return {"folder": str(run.folder), "name": run.name, "system": system.get("name"), "sha256": system.get("sha256")}


def _counted_types(run: ScoredRun, by_type: Mapping[str, Any]) -> list[str]:
    wanted = run.result.get("overall_types") or list(by_type)
    return [name for name in by_type if name in wanted]


def _by_type(pairs: Sequence[tuple[Outcome, Outcome]]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(one.task for one, _ in pairs)
    blocks = {name: _block([pair for pair in pairs if pair[0].task == name]) for name in names}
    for test in ("p_permutation", "p_mcnemar"):
        known = {name: block[test] for name, block in blocks.items() if block[test] is not None}
        for name, value in holm(known).items():
            blocks[name][f"{test}_holm"] = value
    return blocks


def _block(pairs: Sequence[tuple[Outcome, Outcome]]) -> dict[str, Any]:
    """Return means, difference with its interval, flips and p-values of some samples."""
    before, after = [one.score for one, _ in pairs], [other.score for _, other in pairs]
    clusters = [one.cluster for one, _ in pairs]
    bootstrap = ClusteredBootstrap(clusters)
    gap = bootstrap.difference(after, before)
    moved = flips(before, after)
    is_binary = {*before, *after} <= {0.0, 1.0}
    return {
        "n": len(pairs),
        "clusters": len(set(clusters)),
        "first": bootstrap.estimate(before).mean,
        "second": bootstrap.estimate(after).mean,
        "difference": gap.mean,
        "ci95": gap.ci95,
        "gained": moved.gained,
        "lost": moved.lost,
        "p_permutation": permutation_test(before, after, clusters),
        "p_mcnemar": mcnemar_exact(moved.gained, moved.lost) if is_binary else None,
    }


def _warnings(first: ScoredRun, second: ScoredRun, shared: Sequence[str]) -> list[str]:
    """Say what makes the two runs less than comparable."""
    found = []
    for one, other in ((first, second), (second, first)):
        alone = [name for name in one.outcomes if name not in other.outcomes]
        if alone:
            found.append(f"{len(alone)} samples are only in {one.folder} (first: {alone[0]}); they are left out.")
    for key in FACTS:
        old, new = first.result.get(key), second.result.get(key)
        if old != new and old is not None and new is not None:
            found.append(f"The runs differ in {key}: {_differing(old, new)}.")
    changed = [name for name in shared if _hashes(first, name) != _hashes(second, name)]
    if changed:
        found.append(f"{len(changed)} samples were shown other pictures (first: {changed[0]}): their contents differ.")
    retyped = [name for name in shared if first.outcomes[name].task != second.outcomes[name].task]
    if retyped:
        found.append(f"{len(retyped)} samples have another question type (first: {retyped[0]}).")
    asked = [name for name in shared if _prompt(first, name) != _prompt(second, name)]
    if asked:
        found.append(f"{len(asked)} samples were asked in other words (first: {asked[0]}).")
    found += _metric_warnings(first.result.get("by_type") or {}, second.result.get("by_type") or {})
    return found


def _metric_warnings(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [
        f"Type {name} was scored by {first[name].get('metric')} and by {second[name].get('metric')}."
        for name in first
        if name in second and first[name].get("metric") != second[name].get("metric")
    ]


def _differing(old: Any, new: Any) -> str:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
        return ", ".join(f"{key} {old.get(key)} and {new.get(key)}" for key in keys)
    return f"{old} and {new}"


def _hashes(run: ScoredRun, name: str) -> tuple[str, ...] | None:
    return run.predictions[name].image_hashes if name in run.predictions else None


def _prompt(run: ScoredRun, name: str) -> str | None:
    return run.predictions[name].prompt if name in run.predictions else None


def _flip(pair: tuple[Outcome, Outcome], first: ScoredRun, second: ScoredRun) -> dict[str, Any]:
    """Return the line of a sample whose score differs."""
    one, other = pair
    answers = [run.predictions[one.id].prediction if one.id in run.predictions else "" for run in (first, second)]
    known = first.predictions.get(one.id)
    return {
        "id": one.id,
        "task": one.task,
        "image": one.cluster,
        "prompt": known.prompt if known else "",
        "reference": known.reference if known else "",
        "first": answers[0],
        "second": answers[1],
        "first_score": one.score,
        "second_score": other.score,
    }
