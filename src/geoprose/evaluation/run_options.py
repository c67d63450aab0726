"""How to evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.resume import WHOLE, Shard

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.evaluation.predict import Progress
    from geoprose.evaluation.run_record import LoadedSystem
    from geoprose.evaluation.tasks import TaskSpec
    from geoprose.systems.build import System


@dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate.

    Attributes:
        limit: Answer only this many samples, chosen by a hash of their ids; None for all.
        is_rescore: Score the predictions already in the output directory; needs no model.
        is_resume: Go on with an interrupted run in the output directory; else clear what it holds.
        shard: The part of the work to do; the last shard to finish scores.
        is_merge: Put finished shards together and score; needs no model.
        shots: Solved examples before each question; as the task says when None.
        blind: A system trained without pictures, answered as one more baseline.
        previous: Folder of an earlier run of the same samples, as one more baseline.
        batch_size: Questions decoded together.
        supervision: What the system was trained with, in sentences, for the report; read from the system's run record
            when empty.
        on_progress: Called with (who answers, answered, total).
        has_report: Whether to write the HTML report.
    """

    limit: int | None = None
    is_rescore: bool = False
    is_resume: bool = True
    shard: Shard = WHOLE
    is_merge: bool = False
    shots: int | None = None
    blind: LoadedSystem | System[Any] | str | Path | None = None
    previous: Path | None = None
    batch_size: int = 64
    supervision: tuple[str, ...] = ()
    on_progress: Progress | None = None
    has_report: bool = True

    def task(self, task: TaskSpec) -> TaskSpec:
        """Return the task with the number of solved examples that is wanted."""
        if self.shots is None:
            return task
        return task.model_copy(update={"prompt": task.prompt.model_copy(update={"shots": self.shots})})
