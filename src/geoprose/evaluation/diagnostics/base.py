"""What every diagnostic takes and gives."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import NonNegativeInt

from geoprose.core.errors import ConfigError
from geoprose.core.spec import Spec
from geoprose.evaluation.tasks import TaskSpec, load_task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from geoprose.core.types import JsonValue
    from geoprose.evaluation.predict import Progress
    from geoprose.evaluation.run_record import LoadedSystem
    from geoprose.systems.build import System


@dataclass(frozen=True)
class Request:
    """Who is examined, on what, and where the results go.

    Attributes:
        out_dir: Where everything is written.
        system: A system, the name of a preset or the directory of a saved one; None where finished runs are read.
        task: Name of a task, path of a task's YAML, or the spec; None where the diagnostic names its own.
        data_dir: Data set of the task.
        limit: Ask only about this many samples, chosen by a hash of their ids; all when None.
        batch_size: Questions decoded together.
        on_progress: Called with (who answers, answered, total).
    """

    out_dir: Path
    system: LoadedSystem | System[Any] | str | Path | None = None
    task: str | TaskSpec | None = None
    data_dir: Path | None = None
    limit: int | None = None
    batch_size: int = 64
    on_progress: Progress | None = None

    def loaded(self) -> LoadedSystem:
        """Return the system, loaded.

        Raises:
            ConfigError: If none is given.
        """
        from geoprose.evaluation.run_record import load_for_evaluation

        if self.system is None:
            raise ConfigError("This diagnostic examines a system. Name one: `geoprose diagnose NAME SYSTEM ...`.")
        return load_for_evaluation(self.system)

    def question_set(self) -> tuple[TaskSpec, Path]:
        """Return the task and its data folder.

        Raises:
            ConfigError: If either is not given.
        """
        if self.task is None or self.data_dir is None:
            raise ConfigError("This diagnostic asks the questions of a task. Give --task NAME and --data DIR.")
        return self.task if isinstance(self.task, TaskSpec) else load_task(self.task), self.data_dir


@dataclass(frozen=True)
class Finding:
    """What a diagnostic found.

    Attributes:
        metric: Name of the headline figure.
        score: The headline figure; None where it cannot be computed, then ``unavailable`` says why.
        n: Samples behind it.
        ci95: Its 95 % interval; empty without one.
        is_share: Whether it lies in 0..1 and is printed in percent.
        tables: Larger results, JSON values; curves as ``{"kind": "curve", "x", "series", "x_label", "y_label"}``.
        unavailable: What could not be computed, and why.
        warnings: What a reader must know before believing a figure.
        facts: Further keys of ``result.json``.
    """

    metric: str
    score: float | None
    n: int
    ci95: tuple[float, ...] = ()
    is_share: bool = True
    tables: Mapping[str, JsonValue] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Diagnostic(Spec):
    """One diagnostic: its fields are its options, as ``--set key=value`` or a YAML file gives them."""

    title: ClassVar[str]
    """Heading of the report."""
    description: ClassVar[str]
    """What is measured and how to read it, for the report and the command line."""

    seed: NonNegativeInt = 0
    """Seed of everything that is drawn."""

    @abstractmethod
    def run(self, request: Request) -> Finding:
        """Examine.

        Raises:
            GeoproseError: If what is given does not suffice; the message says what is missing.
        """
