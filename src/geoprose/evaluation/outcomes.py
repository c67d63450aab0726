"""What each sample scored, one line each: what a comparison of two runs reads, without model and without data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.core.files import write_jsonl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.scoring import Scored

JUDGEMENTS_NAME = "judgements.jsonl"


@dataclass(frozen=True)
class Outcome:
    """How one sample was judged.

    Attributes:
        id: Sample id.
        task: Question type.
        cluster: What the sample shares with others that succeed or fail together: its first picture, or its own id.
        score: The score.
        is_parsed: Whether the answer could be read.
        label: What was read.
    """

    id: str
    task: str
    cluster: str
    score: float
    is_parsed: bool
    label: str


def write_judgements(out_dir: Path, samples: Sequence[Sample], scored: Scored) -> None:
    """Write ``judgements.jsonl``: id, question type, cluster, score, label, right label where there is one."""
    rows = (
        {
            "id": sample.id,
            "task": sample.task,
            "cluster": cluster_of(sample),
            "score": judgement.score,
            "is_parsed": judgement.is_parsed,
            "label": judgement.label,
            "truth": judgement.truth,
        }
        for sample, judgement in zip(samples, scored.judgements, strict=True)
    )
    write_jsonl(out_dir / JUDGEMENTS_NAME, rows)


def cluster_of(sample: Sample) -> str:
    """Return what samples that succeed or fail together share."""
    return sample.images[0] if sample.images else sample.id


def read_outcomes(run_dir: Path) -> dict[str, Outcome]:
    """Read the judgements of a run, by id.

    Raises:
        TaskError: If they are missing or broken, or an id occurs twice.
    """
    path = run_dir / JUDGEMENTS_NAME
    if not path.is_file():
        raise TaskError(
            f"{path} does not exist, so {run_dir} cannot be compared. Score it first: `geoprose evaluate --rescore`."
        )
    found: dict[str, Outcome] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), start=1):
        try:
            outcome = _outcome(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise TaskError(f"{path} line {number} is no judgement: {error}. Score the run again.") from error
        if outcome.id in found:
            raise TaskError(f"{path} line {number} judges {outcome.id} a second time. Score the run again.")
        found[outcome.id] = outcome
    return found


def _outcome(row: dict[str, Any]) -> Outcome:
    cluster = str(row.get("cluster", row["id"]))
    return Outcome(
        str(row["id"]), str(row["task"]), cluster, float(row["score"]), bool(row["is_parsed"]), str(row["label"])
    )
