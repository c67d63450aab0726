"""Name the label whose training pictures have the nearest colours: what a closed question gives away without a network.

Each picture is six numbers, mean and deviation of red, green and blue; each label the mean of its training pictures. A
question whose words occur in training is compared with the answers to those words, others with those of their type.
"""

# M samples, L labels, F features

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from geoprose.evaluation.baselines.majority import majority_answers
from geoprose.evaluation.predictions import question_of, references_of
from geoprose.inference.features import open_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geoprose.core.types import Sample
    from geoprose.evaluation.tasks import TaskSpec

SIDE_PX = 64
"""Pictures are brought to this size first: the statistics hardly change."""
MAX_TRAIN = 5000
"""Training samples that are looked at, evenly spread."""
Key = tuple[str, str]


def colour_labels(task: TaskSpec, train: Sequence[Sample], samples: Sequence[Sample], data_dir: Path) -> list[str]:
    """Return the nearest label of each sample; the most frequent answer for open questions and unknown types."""
    statistics = _Statistics(data_dir)
    spread = np.linspace(0, len(train) - 1, min(len(train), MAX_TRAIN)).round().astype(int)
    seen = [train[int(place)] for place in dict.fromkeys(spread.tolist())]
    closed = [one for one in seen if one.images and _is_closed(task, one.task)]
    answers = majority_answers(train, samples, box_codec=task.box_codec)
    if not closed:
        return answers
    features = np.stack([statistics.of(one) for one in closed])
    scale = features.std(0) + 1e-9
    centroids = _centroids(closed, features / scale)
    for place, sample in enumerate(samples):
        known = centroids.get((sample.task, question_of(sample))) or centroids.get((sample.task, ""))
        if known is not None and sample.images and _is_closed(task, sample.task):
            labels, means_LF = known
            distance_L = np.linalg.norm(means_LF - statistics.of(sample) / scale, axis=1)
            answers[place] = labels[int(distance_L.argmin())]
    return answers


def _centroids(
    train: Sequence[Sample], features: NDArray[np.float64]
) -> dict[Key, tuple[list[str], NDArray[np.float64]]]:
    """Return the labels and their mean features, per question text and, under an empty text, per type."""
    rows: dict[Key, dict[str, list[NDArray[np.float64]]]] = defaultdict(lambda: defaultdict(list))
    for sample, row in zip(train, features, strict=True):
        label = references_of(sample)[0]
        rows[sample.task, question_of(sample)][label].append(row)
        rows[sample.task, ""][label].append(row)
    return {
        key: (sorted(by_label), np.stack([np.mean(by_label[label], axis=0) for label in sorted(by_label)]))
        for key, by_label in rows.items()
    }


def _is_closed(task: TaskSpec, name: str) -> bool:
    spec = task.types.get(name, task.other)
    return spec is not None and spec.is_closed


class _Statistics:
    """Colour statistics of pictures, each read once."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._known: dict[str, NDArray[np.float64]] = {}

    def of(self, sample: Sample) -> NDArray[np.float64]:
        """Return the statistics of the first picture, and its difference to the last one: two dates differ by it."""
        first, last = self._one(sample.images[0]), self._one(sample.images[-1])
        return np.concatenate([first, last - first])

    def _one(self, image: str) -> NDArray[np.float64]:
        if image not in self._known:
            small = open_picture(self._data_dir / image).resize((SIDE_PX, SIDE_PX))
            pixels = np.asarray(small, dtype=np.float64).reshape(-1, 3) / 255
            self._known[image] = np.concatenate([pixels.mean(0), pixels.std(0)])
        return self._known[image]
