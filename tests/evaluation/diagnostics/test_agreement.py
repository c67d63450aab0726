"""Agreement of raters and rank correlations: published and hand-computed values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from geoprose.core.errors import TaskError
from geoprose.evaluation.diagnostics.agreement import kendall_tau_b, krippendorff_alpha, spearman, tied_share
from geoprose.evaluation.diagnostics.ratings import read_ratings

if TYPE_CHECKING:
    from pathlib import Path

# Krippendorff (2011), section C: four observers, twelve units, with missing values.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)


def test_alpha_equals_the_published_value() -> None:
    units = [[value for value in unit if value is not None] for unit in zip(*OBSERVERS, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.815, abs=5e-4)


def test_alpha_by_hand_and_at_its_ends() -> None:
    # Two units (1,1) and (2,2) agree; (1,2) and (2,1) are worse than chance: 1 - 4 * 1 / (8 / 3) = -0.5.
    assert krippendorff_alpha([(1, 1), (2, 2)]) == 1
    assert krippendorff_alpha([(1, 2), (2, 1)]) == pytest.approx(-0.5)
    assert krippendorff_alpha([(3, 3), (3, 3)]) == 1
    assert np.isnan(krippendorff_alpha([(1,), (2,)]))


def test_alpha_counts_ranks_and_not_distances() -> None:
    near, far = ([(1, 1), (2, 2), (1, 2), (3, 3)], [(1, 1), (2, 2), (1, 2), (900, 900)])
    assert krippendorff_alpha(near) == pytest.approx(krippendorff_alpha(far))


def test_tau_b_by_hand() -> None:
    # Pairs: 12 and 13 concordant, 23 tied in y; with no tie in x: (2 - 0) / sqrt(3 * 2).
    assert kendall_tau_b([1, 2, 3], [1, 2, 2]) == pytest.approx(2 / 6**0.5)
    assert kendall_tau_b([1, 2, 3], [3, 2, 1]) == -1
    assert np.isnan(kendall_tau_b([1, 1], [1, 2]))


def test_spearman_by_hand() -> None:
    # Ranks 1 2 3 4 and 2 1 4 3: 1 - 6 * 4 / (4 * 15).
    assert spearman([1, 2, 3, 4], [20, 10, 40, 30]) == pytest.approx(0.6)
    assert np.isnan(spearman([1, 2], [5, 5]))


def test_tied_pairs() -> None:
    assert tied_share([1, 1, 2]) == pytest.approx(1 / 3)
    assert tied_share([1]) == 0


def _write(folder: Path, *lines: str) -> Path:
    path = folder / "ratings.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def test_ratings_are_read_and_empty_ones_counted(tmp_path: Path) -> None:
    found = read_ratings(_write(tmp_path, "id,rater,rating,note", "a,ann,1,x", "a,bob,4,", "b,ann,,", '"b, 2",bob,3,'))
    assert found.by_id == {"a": {"ann": 1, "bob": 4}, "b, 2": {"bob": 3}}
    assert found.means == {"a": 2.5, "b, 2": 3}
    assert found.raters == ("ann", "bob")
    assert found.empty == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("id,rater", "a,b"), "lacks the column rating"),
        (("id,rater,rating", "a,ann,good"), "line 2: 'good' is no finite number"),
        (("id,rater,rating", "a,ann,nan"), "no finite number"),
        (("id,rater,rating", "a,ann,1", "a,ann,2"), "line 3: 'ann' has rated 'a' already"),
        (("id,rater,rating", "a,ann,"), "holds no rating"),
    ],
)
def test_broken_ratings_are_refused_with_their_line(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        read_ratings(_write(tmp_path, *lines))


def test_missing_ratings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="cannot be read"):
        read_ratings(tmp_path / "none.csv")
