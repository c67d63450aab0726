"""What is counted before a step is read during it, and then begins anew."""

from __future__ import annotations

from geoprose.training.preference.step_sums import StepSums


def test_sums_cover_one_step() -> None:
    sums = StepSums()
    sums.add(pairs=2, tokens=5)
    sums.add(pairs=1, tokens=4)
    assert sums.read() == sums.read() == {"pairs": 3, "tokens": 9}
    sums.add(pairs=7, tokens=1)
    assert sums.read() == {"pairs": 7, "tokens": 1}
