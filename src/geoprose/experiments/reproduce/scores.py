"""Figures of one trial, question by question, and the file they lie in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.errors import TaskError
from geoprose.core.files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SCORES_FILE = "scores.json"


@dataclass(frozen=True)
class Measured:
    """One figure of one trial.

    Attributes:
        ids: Questions.
        clusters: What each question shares with others that succeed or fail together: its picture.
        values: Score of each question.
        weights: How much each counts, such as one over the size of its class for the mean recall over classes; equal
            when empty.
    """

    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    values: tuple[float, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.clusters), len(self.values), len(self.weights or self.ids)}
        if len(lengths) != 1 or not self.ids:
            raise ValueError("ids, clusters, values and weights must have one and the same length, at least 1")

    @property
    def counts(self) -> NDArray[np.float64]:
        """The weights, one for each question."""
        return np.asarray(self.weights, dtype=np.float64) if self.weights else np.ones(len(self.ids))

    @property
    def mean(self) -> float:
        """The figure itself: the weighted mean."""
        return float(np.average(self.values, weights=self.counts))


Scores = dict[str, Measured]
"""The figures of one trial by name."""


def write_scores(path: Path, scores: Mapping[str, Measured]) -> None:
    """Write the figures of a trial as JSON."""
    write_json(path, {name: asdict(measured) for name, measured in scores.items()})


def read_scores(path: Path) -> Scores:
    """Read what ``write_scores`` wrote.

    Raises:
        TaskError: If the file is broken.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {name: Measured(**{key: tuple(own) for key, own in one.items()}) for name, one in values.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise TaskError(
            f"{path} cannot be read as scores ({error}). Delete it; the trial is measured again."
        ) from error
