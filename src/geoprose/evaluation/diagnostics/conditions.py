"""Ask the same questions under many conditions, each an ordinary evaluation, and line the scores up by question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.core.errors import TaskError
from geoprose.evaluation.diagnostics.derived import derived_task, write_condition, write_train
from geoprose.evaluation.outcomes import cluster_of, read_outcomes
from geoprose.evaluation.predictions import predictions_path, read_predictions
from geoprose.evaluation.run import evaluate
from geoprose.evaluation.run_options import EvaluateOptions
from geoprose.evaluation.run_samples import read_sample_set

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geoprose.core.types import Sample
    from geoprose.evaluation.diagnostics.base import Request
    from geoprose.evaluation.diagnostics.derived import Condition
    from geoprose.evaluation.predict import Progress
    from geoprose.evaluation.run_record import LoadedSystem
    from geoprose.evaluation.run_samples import SampleSet

CONDITIONS_DIR = "conditions"
DERIVED_DIR = "derived"


@dataclass(frozen=True)
class Measured:
    """How one condition went.

    Attributes:
        name: Name of the condition.
        scores: Score of each question by id.
        answers: Raw answer of each question by id.
        unparsed: Questions whose answer could not be read.
        result: ``result.json`` of the evaluation.
    """

    name: str
    scores: Mapping[str, float]
    answers: Mapping[str, str]
    unparsed: int
    result: Mapping[str, Any]


class Bench:
    """One system, one task, one data set, any number of conditions.

    Args:
        request: What `geoprose diagnose` was given.

    Raises:
        ConfigError: If system, task or data are missing.
        DataError: If the data cannot be read.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.task, self.data_dir = request.question_set()
        self.loaded: LoadedSystem = request.loaded()
        self.set: SampleSet = read_sample_set(self.task, self.data_dir, request.limit)
        self._derived_dir = request.out_dir / DERIVED_DIR
        self._is_train_written = False

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The questions that count: those of the types in the task's overall figure."""
        counted = set(self.task.overall) or {sample.task for sample in self.set.asked}
        return tuple(sample for sample in self.set.asked if sample.task in counted)

    @property
    def clusters(self) -> list[str]:
        """The picture of each question, whatever a condition shows instead."""
        return [cluster_of(sample) for sample in self.samples]

    def system_facts(self) -> dict[str, Any]:
        """Return the keys of ``result.json`` that say who was examined on what."""
        spec = self.loaded.system.spec
        parameters = sum(parameter.numel() for parameter in self.loaded.system.model.parameters())
        names = {"name": spec.name, "kind": spec.kind, "sha256": self.loaded.sha256, "parameters": parameters}
        return {"system": names, "task": self.task.name, "images": len(set(self.clusters)), "data": str(self.data_dir)}

    def measure(self, condition: Condition) -> Measured:
        """Ask the questions of a condition; one that was asked before is read from the disk.

        Raises:
            TaskError: If the condition has no question, or the folder holds another run.
        """
        if not condition.samples:
            raise TaskError(f"Condition {condition.name} has no question to ask.")
        if not self._is_train_written:
            write_train(self.task, self.set.train, self.data_dir, self._derived_dir)
            self._is_train_written = True
        write_condition(condition, self.data_dir, self._derived_dir)
        out_dir = self.request.out_dir / CONDITIONS_DIR / condition.name
        options = EvaluateOptions(
            batch_size=self.request.batch_size,
            has_report=False,
            on_progress=_named(condition.name, self.request.on_progress),
        )
        result = evaluate(
            self.loaded, derived_task(self.task, condition, bool(self.set.train)), self._derived_dir, out_dir, options
        )
        return read_measured(condition.name, out_dir, result)

    def scores(self, measured: Sequence[Measured]) -> NDArray[np.float64]:
        """Return the scores as (conditions, questions), NaN where a condition leaves a question out."""
        ids = [sample.id for sample in self.samples]
        return np.array([[one.scores.get(name, np.nan) for name in ids] for one in measured], dtype=np.float64)

    def metric(self, measured: Measured) -> tuple[str, bool]:
        """Return the name of the score, and whether it is a share from 0 to 1."""
        block = measured.result["overall"]
        return str(block["metric"]), block.get("accuracy") is not None

    def warnings(self, measured: Measured) -> tuple[str, ...]:
        """Say where the mean of the scores of single questions is not the figure that an evaluation reports."""
        block = measured.result["overall"]
        ours = float(np.mean([measured.scores[sample.id] for sample in self.samples if sample.id in measured.scores]))
        if abs(ours - float(block["score"])) < 1e-6:
            return ()
        return (
            f"The score of a single question of this task is not a part of its mean: the evaluation reports "
            f"{block['score']:.4f} and the mean over questions, which is shown here, is {ours:.4f}.",
        )


def read_measured(name: str, folder: Path, result: Mapping[str, Any] | None = None) -> Measured:
    """Read how a finished run went.

    Raises:
        TaskError: If the folder does not hold a scored run.
    """
    outcomes = read_outcomes(folder)
    rows = read_predictions(predictions_path(folder, "system"))
    if result is None:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Measured(
        name,
        {outcome.id: outcome.score for outcome in outcomes.values()},
        {row.id: row.prediction for row in rows},
        sum(not outcome.is_parsed for outcome in outcomes.values()),
        result,
    )


def _named(name: str, report: Progress | None) -> Progress | None:
    return None if report is None else lambda source, done, total: report(f"{name}: {source}", done, total)
