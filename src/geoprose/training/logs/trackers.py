"""Experiment trackers, beside the JSONL log and TensorBoard that every run writes."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_ALWAYS = frozenset({"jsonl", "tensorboard"})
_PROJECT = "geoprose"


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker shows of a stage.

    Attributes:
        name: Recipe and stage.
        folder: Folder of the stage; a resumed stage has the same one.
        config: The resolved recipe as JSON values.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Name that is the same when the stage is resumed."""
        return hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:16]


class Tracker(ABC):
    """Sends the numbers of a stage to one service.

    Args:
        module: The service's package.
        run: What to show.
    """

    def __init__(self, module: Any, run: TrackedRun) -> None:
        self.module = module
        self.begin(run)

    @abstractmethod
    def begin(self, run: TrackedRun) -> None:
        """Open the run, or go on with the one of an interrupted stage."""

    @abstractmethod
    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Send the numbers of a step."""

    @abstractmethod
    def close(self) -> None:
        """End the run."""


class WandbTracker(Tracker):
    """Weights & Biases; ``WANDB_MODE=offline`` keeps it on this machine."""

    def begin(self, run: TrackedRun) -> None:
        """Open the run, or go on with the one of an interrupted stage."""
        self.module.init(
            project=_PROJECT, name=run.name, id=run.key, resume="allow", config=dict(run.config), dir=str(run.folder)
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Send the numbers of a step."""
        self.module.log(dict(values), step=step)

    def close(self) -> None:
        """End the run."""
        self.module.finish()


class TrackioTracker(WandbTracker):
    """Trackio, which has the interface of Weights & Biases and keeps its data on this machine."""

    def begin(self, run: TrackedRun) -> None:
        """Open the run, or go on with the one of an interrupted stage."""
        self.module.init(project=_PROJECT, name=f"{run.name}-{run.key}", resume="allow", config=dict(run.config))


class MlflowTracker(Tracker):
    """MLflow; ``MLFLOW_TRACKING_URI`` says where."""

    def begin(self, run: TrackedRun) -> None:
        """Open the run; MLflow counts a resumed stage as a run of its own, with the same tag."""
        self.module.set_experiment(_PROJECT)
        self.module.start_run(run_name=run.name, tags={"geoprose.key": run.key})
        self.module.log_dict(dict(run.config), "recipe.json")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Send the numbers of a step."""
        self.module.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """End the run."""
        self.module.end_run()


TRACKERS: dict[str, type[Tracker]] = {"trackio": TrackioTracker, "mlflow": MlflowTracker, "wandb": WandbTracker}


def check_trackers(names: Iterable[str]) -> None:
    """Refuse a tracker that is not installed, before anything is trained.

    Raises:
        ResourceError: Naming the package.
    """
    for name in names:
        if name not in _ALWAYS and importlib.util.find_spec(name) is None:
            raise ResourceError(
                f"trackers: {name} needs the package {name}. Install it with `pip install {name}`, or leave it out; "
                "the JSONL log and TensorBoard are always written."
            )


def open_trackers(names: Sequence[str], run: TrackedRun) -> list[Tracker]:
    """Return the trackers of a stage, opened."""
    return [TRACKERS[name](importlib.import_module(name), run) for name in names if name not in _ALWAYS]
