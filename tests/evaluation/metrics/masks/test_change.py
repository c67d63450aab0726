"""Change detection by hand and against scikit-learn; saying nothing is never rewarded by the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.masks.change import ChangeDetection, figures, kappa, pool
from geoprose.evaluation.metrics.masks.masks import Counts
from geoprose.evaluation.protocols import load_protocol

if TYPE_CHECKING:
    from pathlib import Path


def _items(root: Path, seed: int = 0, count: int = 4) -> tuple[list[Item], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random((2, count, 8, 8)) < 0.3
    predicted |= truth & (rng.random(truth.shape) < 0.7)
    items = []
    for number in range(count):
        for name, mask in (("t", truth), ("p", predicted)):
            Image.fromarray(mask[number].astype(np.uint8)).save(root / f"{name}{number}.png")
        meta = {"mask": f"t{number}.png"}
        items.append(Item(str(number), f"p{number}.png", ("",), (8, 8), meta=meta, root=root))
    return items, truth, predicted


def _mean(metric: ChangeDetection, items: list[Item]) -> float:
    return sum(judgement.score for judgement in metric.judge(items).judgements) / len(items)


def test_by_hand() -> None:
    values = figures(Counts(30, 10, 20, 940))
    assert values == {
        "precision": 0.75,
        "recall": 0.6,
        "f1": pytest.approx(2 / 3),
        "iou": 0.5,
        "oa": 0.97,
        "kappa": pytest.approx((0.97 - (0.04 * 0.05 + 0.96 * 0.95)) / (1 - (0.04 * 0.05 + 0.96 * 0.95))),
    }
    assert figures(Counts(0, 0, 0, 0)) == dict.fromkeys(values, 0.0)
    assert kappa(Counts(0, 0, 0, 9)) == 0.0


def test_equal_to_scikit_learn(tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    items, truth, predicted = _items(tmp_path)
    wanted = {
        "f1": metrics.f1_score(truth.ravel(), predicted.ravel()),
        "iou": metrics.jaccard_score(truth.ravel(), predicted.ravel()),
        "precision": metrics.precision_score(truth.ravel(), predicted.ravel()),
        "recall": metrics.recall_score(truth.ravel(), predicted.ravel()),
        "oa": metrics.accuracy_score(truth.ravel(), predicted.ravel()),
        "kappa": metrics.cohen_kappa_score(truth.ravel(), predicted.ravel()),
    }
    for score, value in wanted.items():
        metric = ChangeDetection(score=score)  # type: ignore[arg-type]
        assert _mean(metric, items) == pytest.approx(value), score
        assert metric.judge(items).corpus[score] == pytest.approx(value)
    per_pair = [metrics.f1_score(t.ravel(), p.ravel()) for t, p in zip(truth, predicted, strict=True)]
    assert _mean(ChangeDetection(score="pair_f1"), items) == pytest.approx(np.mean(per_pair))
    assert abs(np.mean(per_pair) - wanted["f1"]) > 1e-4  # pooled and per pair are two figures


def _silent(items: list[Item]) -> list[Item]:
    return [Item(i.id, "nothing to see", i.references, i.size_px, meta=i.meta, root=i.root) for i in items]


def test_saying_nothing_is_rewarded_by_the_flagged_variant_only(tmp_path: Path) -> None:
    items, truth, _ = _items(tmp_path)
    protocol = load_protocol("change-detection")
    assert protocol.variants["unread-as-no-change"].fault
    silent = _silent(items)
    strict, lenient = ChangeDetection(score="oa"), ChangeDetection(score="oa", unread="no_change")
    assert _mean(strict, silent) == 0.0
    assert _mean(lenient, silent) == pytest.approx(1 - truth.mean())
    half = [items[0], *silent[1:]]
    assert _mean(protocol.metric(), half) < _mean(protocol.metric("unread-as-no-change"), half)
    assert not strict.judge(silent).judgements[0].is_parsed


def test_a_pair_without_change_answered_so_counts_1_per_pair(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "t.png")
    item = Item("a", "[]", ("",), (8, 8), meta={"mask": "t.png"}, root=tmp_path)
    assert _mean(ChangeDetection(score="pair_iou"), [item]) == 1.0
    assert _mean(ChangeDetection(), [item]) == 0.0
    assert ChangeDetection().judge([item]).corpus["oa"] == 1.0


def test_pool() -> None:
    assert pool([Counts(1, 2, 3, 4), Counts(1, 1, 1, 1)]) == Counts(2, 3, 4, 5)
    assert pool([]) == Counts(0, 0, 0, 0)


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="no_change"):
        ChangeDetection(unread="skip")  # type: ignore[arg-type]
