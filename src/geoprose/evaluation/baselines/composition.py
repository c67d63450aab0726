"""Predict the class shares of a picture's cells: from colour statistics, or from the frozen encoder."""

# M pictures, G cells along a side, F features per cell, C classes

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoprose.assets.cache import cache_root
from geoprose.core.errors import TaskError
from geoprose.core.files import sha256_file
from geoprose.data.world.classes import NUM_CLASSES
from geoprose.data.world.tiles import GRID
from geoprose.evaluation.baselines.symbolic import Thresholds, answer_all, true_cells
from geoprose.evaluation.predictions import references_of
from geoprose.inference.features import open_picture
from geoprose.training.pictures.features import FeatureStore, build_features, feature_key
from geoprose.training.pictures.visuals import VisualFiles
from geoprose.training.specs.data import FeatureSpec

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.core.types import Sample
    from geoprose.systems.build import System

Array = NDArray[np.float64]
Featuriser = Callable[[Sequence[Path]], Array]
"""Pictures to ``(M, G*G, F)``."""
Fit = Callable[[Array, Array], Callable[[Array], Array]]
"""``(rows, F)`` and ``(rows, C)`` to a predictor of ``(rows, C)`` from ``(rows, F)``."""
SEED = 0
PROBE_FEATURES = FeatureSpec(dtype="fp16", encoder_precision="fp32")
"""What the demo's training asks for too, so the probe finds its features on the disk."""
THRESHOLD_GRID = (0.02, 0.03, 0.05, 0.075, 0.10, 0.15, 0.20)
MAX_THRESHOLD_QUESTIONS = 2000
MAX_TRAIN_PICTURES = 2000
RIDGE_PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)


@dataclass(frozen=True)
class SymbolicBaseline:
    """A way to read cells and a way to fit them; the rest is the same for colour and probe."""

    name: str
    featurise: Featuriser
    fit: Fit

    def answers(self, train: Sequence[Sample], test: Sequence[Sample], data_dir: Path) -> list[str]:
        """Fit on the training pictures and answer the test samples.

        The thresholds from which a class counts are chosen on a fifth of the training pictures that the
        first fit has not seen; the second fit uses all of them.

        Raises:
            TaskError: If the training records carry no cell shares.
        """
        truth = true_cells(train)
        if len(truth) < 5:
            raise TaskError(
                f"The {self.name} baseline needs training pictures with meta.cell_composition and found {len(truth)}. "
                "Build the data with `geoprose data build world`, or leave the baseline out of the task."
            )
        names = _spread(sorted(truth), MAX_TRAIN_PICTURES)
        features = self.featurise([data_dir / name for name in names])
        shares = np.stack([truth[name].reshape(GRID * GRID, NUM_CLASSES) for name in names])
        thresholds = self._thresholds(train, names, features, shares)
        predict = self.fit(_rows(features), _rows(shares))
        pictures = sorted({image for sample in test for image in sample.images})
        predicted = _predict(predict, self.featurise([data_dir / name for name in pictures]))
        return answer_all(test, dict(zip(pictures, predicted, strict=True)), thresholds)

    def _thresholds(self, train: Sequence[Sample], names: Sequence[str], features: Array, shares: Array) -> Thresholds:
        held = np.random.default_rng(SEED).permutation(len(names)) < max(1, len(names) // 5)
        predict = self.fit(_rows(features[~held]), _rows(shares[~held]))
        cells = dict(zip(np.array(names)[held].tolist(), _predict(predict, features[held]), strict=True))

        def best(task: str) -> float:
            asked = [s for s in train if s.task == task and all(image in cells for image in s.images)]
            asked = asked[:MAX_THRESHOLD_QUESTIONS]
            truth = [references_of(sample)[0] for sample in asked]

            def right(value: float) -> int:
                answers = answer_all(asked, cells, Thresholds(value, value))
                return sum(answer == true for answer, true in zip(answers, truth, strict=True))

            return max(THRESHOLD_GRID, key=right)

        return Thresholds(present=best("presence"), listed=best("list"))


def colour_baseline() -> SymbolicBaseline:
    """Mean and deviation of the colours of a cell and of its picture; a random forest reads them."""
    return SymbolicBaseline("colour", colour_features, _fit_forest)


def probe_baseline(system: System) -> SymbolicBaseline:
    """The frozen encoder's features averaged per cell; a ridge regression reads them."""
    found = FeatureStore(cache_root() / "features" / feature_key(system, PROBE_FEATURES))

    def featurise(paths: Sequence[Path]) -> Array:
        digests = [sha256_file(path) for path in paths]
        visuals = {digest: VisualFiles((path,)) for digest, path in zip(digests, paths, strict=True)}
        store = build_features(system, visuals, PROBE_FEATURES, found, lambda done, total: None)
        return np.stack([_encoder_cells(store.get(digest)[0].float()) for digest in digests])

    return SymbolicBaseline("probe", featurise, fit_ridge)


def colour_features(paths: Sequence[Path]) -> Array:
    """Return per cell the mean and deviation of R, G and B, and those of the whole picture.

    Shapes:
        Returns ``(M, G*G, 12)``.
    """
    return np.stack([_colour_cells(np.asarray(open_picture(path), dtype=np.float64) / 255) for path in paths])


def fit_ridge(features: Array, shares: Array) -> Callable[[Array], Array]:
    """Fit a ridge regression on standardised features; the penalty is chosen on every fifth row."""
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    offset = shares.mean(0)
    held = np.arange(len(features)) % 5 == 4
    scaled, centred = (features - mean) / deviation, shares - offset

    def error(penalty: float) -> float:
        weights = _ridge_weights(scaled[~held], centred[~held], penalty)
        return float(np.square(scaled[held] @ weights - centred[held]).mean())

    weights = _ridge_weights(scaled, centred, min(RIDGE_PENALTIES, key=error))
    return lambda rows: (rows - mean) / deviation @ weights + offset


def _ridge_weights(features: Array, targets: Array, penalty: float) -> Array:
    gram = features.T @ features + penalty * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(gram, features.T @ targets), dtype=np.float64)


def _fit_forest(features: Array, shares: Array) -> Callable[[Array], Array]:
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(n_estimators=60, min_samples_leaf=5, max_features=0.5, random_state=SEED, n_jobs=1)
    forest.fit(features, shares)
    return lambda rows: np.asarray(forest.predict(rows), dtype=np.float64)


def _colour_cells(pixels_HWC: Array) -> Array:
    height, width, _ = pixels_HWC.shape
    row_edges = np.linspace(0, height, GRID + 1).round().astype(int)
    column_edges = np.linspace(0, width, GRID + 1).round().astype(int)
    whole = _statistics(pixels_HWC)
    return np.stack(
        [
            np.concatenate([_statistics(pixels_HWC[top:bottom, left:right]), whole])
            for top, bottom in itertools.pairwise(row_edges)
            for left, right in itertools.pairwise(column_edges)
        ]
    )


def _statistics(pixels_HWC: Array) -> Array:
    return np.concatenate([pixels_HWC.mean(axis=(0, 1)), pixels_HWC.std(axis=(0, 1))])


def _encoder_cells(features_PE: Tensor) -> Array:
    """Average the patch features of one square tile over each cell.

    Shapes:
        Returns ``(G*G, E)``.
    """
    from torch.nn.functional import adaptive_avg_pool2d

    side = round(features_PE.shape[0] ** 0.5)
    if side * side != features_PE.shape[0]:
        raise TaskError(
            f"The encoder gives {features_PE.shape[0]} patches, which are no square; the probe needs one square tile a "
            "picture. Leave the baseline out of the task."
        )
    pooled_EHW = adaptive_avg_pool2d(features_PE.T.reshape(-1, side, side), GRID)
    return np.asarray(pooled_EHW.flatten(1).T.numpy(), dtype=np.float64)


def _predict(predict: Callable[[Array], Array], features: Array) -> list[Array]:
    rows = predict(_rows(features))
    return list(rows.reshape(len(features), GRID, GRID, NUM_CLASSES))


def _rows(values: Array) -> Array:
    return values.reshape(-1, values.shape[-1])


def _spread(names: Sequence[str], limit: int) -> list[str]:
    """Return at most ``limit`` names, evenly spread over the list."""
    if len(names) <= limit:
        return list(names)
    return [names[int(place)] for place in np.linspace(0, len(names) - 1, limit).round()]
