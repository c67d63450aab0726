"""What a reproduction must offer: its arms, how one is trained and measured, and what is asked of the figures.

An *arm* is one way to train; a *trial* is an arm with a seed. The frame (run.py) goes through the trials, keeps what is
finished, and makes the table, the report and the record; a reproduction says only what is its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from geoprose.core.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from markupsafe import Markup

    from geoprose.experiments.reproduce.findings import Finding
    from geoprose.experiments.reproduce.score_table import ScoreTable
    from geoprose.experiments.reproduce.scores import Scores

Scale = Literal["tiny", "small"]


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: Name of its folder and of its row.
        title: How tables call it.
        about: One sentence: what is different about it.
        is_once: Trained with the first seed only; its figures stand for every seed.
    """

    name: str
    title: str
    about: str = ""
    is_once: bool = False


@dataclass(frozen=True)
class MetricColumn:
    """One figure of every trial; higher is better.

    Attributes:
        name: Key in the scores.
        title: How tables call it.
        group: Heading of the columns that belong together, such as the task.
        is_share: A share of 1, printed in percent; else a score printed times 100.
    """

    name: str
    title: str
    group: str = ""
    is_share: bool = True


@dataclass(frozen=True)
class Trial:
    """An arm with a seed."""

    arm: Arm
    seed: int

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"{self.arm.name}, seed {self.seed}"


@dataclass(frozen=True)
class Workplace:
    """Where a reproduction works.

    Attributes:
        out_dir: Folder of everything that is written.
        scale: ``small``: the real thing on two cores; ``tiny``: random weights, seconds, for tests.
        seeds: Seeds of the arms that are trained more than once.
        data_dir: Data set given by the user; None for the packaged one.
        say: Called with one line as work goes on.
    """

    out_dir: Path
    scale: Scale
    seeds: tuple[int, ...]
    data_dir: Path | None
    say: Callable[[str], None]

    def trial_dir(self, trial: Trial) -> Path:
        """Return the folder of a trial."""
        return self.out_dir / "trials" / trial.arm.name / f"seed-{trial.seed}"


class Reproduction(ABC):
    """One published result.

    Everything that a method writes must be kept when it is called again: a run that was stopped goes on.

    Args:
        work: Where it works.
        settings: An instance of ``settings_type``.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    """What is asked, in one or two sentences."""
    source: ClassVar[str]
    """Paper that the result comes from, and what here is our reading of it."""
    settings_type: ClassVar[type[Spec]] = Spec
    """What ``--set key=value`` may change."""

    def __init__(self, work: Workplace, settings: Any) -> None:
        self.work = work
        self.settings = settings

    @abstractmethod
    def arms(self) -> tuple[Arm, ...]:
        """Return the arms in the order in which they are trained; the others are compared with the first."""

    @abstractmethod
    def metrics(self) -> tuple[MetricColumn, ...]:
        """Return the figures, in the order of the table."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the data that all trials share."""

    def shared(self) -> Mapping[str, Callable[[], object]]:
        """Return what trials share beyond the data, such as start weights: what makes each part, by name.

        Parts do not need each other, so processes may make them side by side; one that is made returns at once.
        """
        return {}

    @abstractmethod
    def train(self, trial: Trial) -> None:
        """Train a trial in ``self.work.trial_dir(trial)``; return at once when that is done already."""

    @abstractmethod
    def measure(self, trial: Trial) -> Scores:
        """Return the figures of a trained trial, question by question."""

    @abstractmethod
    def findings(self, table: ScoreTable) -> list[Finding]:
        """Answer the questions of the reproduction from the figures; trials may be missing from ``table``."""

    def costs(self) -> Mapping[str, Mapping[str, float]]:
        """Return what each arm costs: ``{row: {"parameters": 1.6e8, ...}}``; measured once, at the end."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know before trusting the figures, a sentence each."""
        return ()

    def charts(self, table: ScoreTable) -> list[Markup]:
        """Return the drawings of the report; by default every arm with its interval, a drawing for each figure."""
        from geoprose.experiments.reproduce.charts import default_charts

        return default_charts(self.arms(), self.metrics(), table)
