from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from geoprose.experiments.reproduce.base import Arm, Trial
from geoprose.experiments.reproduce.score_table import ScoreTable
from geoprose.experiments.reproduce.scores import Measured, read_scores, write_scores

if TYPE_CHECKING:
    from pathlib import Path


def trial(arm: str, seed: int) -> Trial:
    return Trial(Arm(arm, arm), seed)


def measured(values: list[float], per_picture: int = 1, weights: tuple[float, ...] = ()) -> Measured:
    ids = tuple(f"q{number}" for number in range(len(values)))
    return Measured(ids, tuple(f"p{number // per_picture}" for number in range(len(values))), tuple(values), weights)


def test_mean_over_seeds_and_paired_difference_by_hand() -> None:
    table = ScoreTable(
        {
            trial("a", 0): {"m": measured([1.0, 0.0, 0.0, 0.0])},
            trial("a", 1): {"m": measured([1.0, 1.0, 0.0, 0.0])},
            trial("b", 0): {"m": measured([1.0, 1.0, 0.0, 1.0])},
            trial("b", 1): {"m": measured([1.0, 1.0, 1.0, 1.0])},
        }
    )
    assert table.estimate("a", "m").mean == pytest.approx(0.375)
    assert table.estimate("a", "m").by_seed == (0.25, 0.5)
    gap = table.difference("b", "a", "m")
    assert gap.mean == pytest.approx(0.5)
    assert gap.by_seed == (0.5, 0.5)
    assert gap.low <= 0.5 <= gap.high


def test_weights_make_the_mean_recall_over_classes() -> None:
    # Three of class one, two right; one of class two, wrong: recalls 2/3 and 0.
    one = measured([1.0, 1.0, 0.0, 0.0], weights=(1 / 3, 1 / 3, 1 / 3, 1.0))
    assert one.mean == pytest.approx(1 / 3)
    table = ScoreTable({trial("a", 0): {"aa": one}})
    assert table.question_scores("a", "aa").mean() == pytest.approx(1 / 3)


def test_a_shift_that_is_the_same_for_every_question_has_no_interval() -> None:
    base = [0.1, 0.7, 0.3, 0.9, 0.5]
    table = ScoreTable(
        {
            trial("a", 0): {"m": measured(base)},
            trial("b", 0): {"m": measured([value + 0.2 for value in base])},
        }
    )
    gap = table.difference("b", "a", "m")
    assert gap.low == pytest.approx(0.2)
    assert gap.high == pytest.approx(0.2)
    assert table.estimate("a", "m").high - table.estimate("a", "m").low > 0.1, "each alone has one"


def test_the_spread_of_seeds_is_that_of_their_mean() -> None:
    """With all questions equal, the resampled deviation must be s / sqrt(n) with the unbiased s, also for 3 seeds."""
    levels = [0.30, 0.42, 0.60]
    table = ScoreTable({trial("a", seed): {"m": measured([level] * 6)} for seed, level in enumerate(levels)})
    expected = np.std(levels, ddof=1) / np.sqrt(3)
    assert table.resampled("a", "m").std() == pytest.approx(expected, rel=0.05)


def test_the_spread_of_pictures_is_that_of_their_mean() -> None:
    rng = np.random.default_rng(1)
    by_picture = rng.random(200)
    table = ScoreTable({trial("a", 0): {"m": measured(list(np.repeat(by_picture, 3)), per_picture=3)}})
    assert table.resampled("a", "m").std() == pytest.approx(by_picture.std() / np.sqrt(200), rel=0.08)


def test_an_arm_trained_once_stands_beside_every_seed() -> None:
    table = ScoreTable(
        {
            trial("teacher", 0): {"m": measured([1.0, 1.0])},
            trial("a", 0): {"m": measured([1.0, 0.0])},
            trial("a", 1): {"m": measured([0.0, 0.0])},
        }
    )
    assert table.difference("a", "teacher", "m").by_seed == (-0.5, -1.0)


def test_only_common_seeds_are_paired() -> None:
    table = ScoreTable(
        {
            trial("a", 0): {"m": measured([1.0])},
            trial("a", 1): {"m": measured([0.0])},
            trial("b", 1): {"m": measured([1.0])},
            trial("b", 2): {"m": measured([1.0])},
        }
    )
    assert table.difference("b", "a", "m").by_seed == (1.0,)


def test_scores_survive_the_file(tmp_path: Path) -> None:
    scores = {"m": measured([0.1, 1 / 3], weights=(1.0, 2.0))}
    write_scores(tmp_path / "scores.json", scores)
    assert read_scores(tmp_path / "scores.json") == scores


@pytest.mark.parametrize("values", [[], [1.0, 2.0]])
def test_columns_of_unequal_length_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="length"):
        Measured(("q",) if values else (), ("p",) if values else (), tuple(values))
