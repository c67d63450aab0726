"""Which units a micro-batch holds."""

from __future__ import annotations

from collections import Counter

from geoprose.core.types import Message, Sample
from geoprose.data.mixture import Mixture, Source, Unit, units_of
from geoprose.training.rows.sampler import BatchPlan


def _mixture(count: int) -> Mixture:
    samples = [Sample(str(i), (f"{i}.png",), (Message("user", "Q"), Message("assistant", "A"))) for i in range(count)]
    return Mixture([Source(tuple(units_of(samples, "r")))], seed=1)


def _names(units: list[Unit]) -> list[str]:
    return [unit.samples[0].id for unit in units]


def test_an_epoch_of_batches_visits_everything_once() -> None:
    plan = BatchPlan(_mixture(10), 4)
    assert plan.batches_per_epoch == 3
    sizes = [len(plan.micro_batch(k)) for k in range(3)]
    assert sizes == [4, 4, 2]
    seen = Counter(name for k in range(3, 6) for name in _names(plan.micro_batch(k)))
    assert len(seen) == 10
    assert set(seen.values()) == {1}


def test_a_batch_needs_no_history() -> None:
    one, other = BatchPlan(_mixture(10), 3), BatchPlan(_mixture(10), 3)
    for k in range(9):
        one.micro_batch(k)
    assert _names(one.micro_batch(7)) == _names(other.micro_batch(7))


def test_length_grouping_keeps_similar_lengths_together() -> None:
    plan = BatchPlan(_mixture(64), 8, length=lambda unit: int(unit.samples[0].id))
    spreads = [max(map(int, names)) - min(map(int, names)) for k in range(8) if (names := _names(plan.micro_batch(k)))]
    assert max(spreads) == 7
    firsts = [int(_names(plan.micro_batch(k))[0]) for k in range(8)]
    assert firsts != sorted(firsts, reverse=True), "batches come in random order, long ones do not all come first"
    random_plan = BatchPlan(_mixture(64), 8)
    random_spreads = [
        max(map(int, n)) - min(map(int, n)) for k in range(8) if (n := _names(random_plan.micro_batch(k)))
    ]
    assert sum(random_spreads) > 3 * sum(spreads)


def _packed(count: int = 40) -> BatchPlan:
    return BatchPlan(_mixture(count), 2, length=lambda unit: 5 + int(unit.samples[0].id) % 20, capacity=60)


def test_packed_rows_fit_and_an_epoch_visits_everything_once() -> None:
    plan = _packed()
    seen = Counter(name for k in range(plan.batches_per_epoch) for name in _names(plan.micro_batch(k)))
    assert len(seen) == 40
    assert set(seen.values()) == {1}
    for k in range(plan.batches_per_epoch):
        lengths = [5 + int(name) % 20 for name in _names(plan.micro_batch(k))]
        assert sum(lengths) <= 2 * 60
    total = sum(5 + number % 20 for number in range(40))
    assert plan.batches_per_epoch <= -(-(-(-total // 60) + 1) // 2), "rows are nearly full"


def test_a_packed_batch_needs_no_history_and_epochs_differ() -> None:
    one, other = _packed(), _packed()
    order = [_names(one.micro_batch(k)) for k in range(3 * one.batches_per_epoch)]
    assert _names(other.micro_batch(len(order) - 1)) == order[-1], "what resumes needs the number only"
    epoch = one.batches_per_epoch
    assert order[:epoch] != order[epoch : 2 * epoch]
    assert len({name for names in order[epoch : 2 * epoch] for name in names}) == 40
