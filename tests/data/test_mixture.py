"""The order of the data is arithmetic."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.data.mixture import Mixture, Source, Unit, draw_order, generator, units_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def _sample(number: int, image: str = "a.png", meta: Mapping[str, float] | None = None, task: str = "") -> Sample:
    messages = (Message("user", "<image>\nQ"), Message("assistant", "A"))
    return Sample(str(number), (image,), messages, task, meta=dict(meta or {}))


def _units(count: int, root: str = "r") -> tuple[Unit, ...]:
    return tuple(units_of([_sample(i, f"{i}.png") for i in range(count)], root))


def test_units_group_the_samples_that_may_share() -> None:
    samples = [_sample(0), _sample(1, "b.png"), _sample(2), _sample(3)]
    groups = units_of(samples, "r", lambda sample: sample.id != "3")
    assert [[s.id for s in unit.samples] for unit in groups] == [["0", "2"], ["1"], ["3"]]
    assert len(units_of(samples, "r")) == 4


def test_an_epoch_visits_every_unit_once() -> None:
    mixture = Mixture([Source(_units(7))], seed=3)
    for epoch in range(3):
        seen = Counter(mixture.unit(epoch, int(slot)).images for slot in mixture.order(epoch))
        assert set(seen.values()) == {1}
        assert len(seen) == 7


def test_weights_set_the_share_of_an_epoch() -> None:
    mixture = Mixture([Source(_units(8, "x"), 0.5), Source(_units(3, "y"), 2.0)], seed=0)
    assert len(mixture) == 10
    roots = Counter(mixture.unit(0, slot).root for slot in range(10))
    assert roots == {"x": 4, "y": 6}
    two_epochs = Counter(u.images for e in (0, 1) for s in range(10) if (u := mixture.unit(e, s)).root == "x")
    assert len(two_epochs) == 8, "a source of weight 0.5 is seen in full over two epochs"


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    first, again, other = (Mixture([Source(_units(20))], seed) for seed in (1, 1, 2))
    assert first.order(4).tolist() == again.order(4).tolist()
    assert first.order(4).tolist() != first.order(5).tolist()
    assert first.order(4).tolist() != other.order(4).tolist()


def test_weighted_draws_prefer_the_heavy() -> None:
    samples = [_sample(0, meta={"weight": 9.0}), _sample(1, meta={"weight": 1.0})]
    source = Source(_units(1), draw="weighted")
    firsts = Counter(int(draw_order(samples, source, generator(i))[0]) for i in range(2000))
    assert 0.87 < firsts[0] / 2000 < 0.93  # expected 0.9, deviation 0.0067


def test_task_weights_multiply() -> None:
    samples = [_sample(0, task="box"), _sample(1, task="caption")]
    source = Source(_units(1), draw="weighted", task_weights={"box": 1e6})
    assert all(int(draw_order(samples, source, generator(i))[0]) == 0 for i in range(50))


def test_the_heaviest_come_first_at_every_visit() -> None:
    weights = [(0.2, "caption"), (0.9, "caption"), (0.9, "caption"), (0.1, "scene")]
    samples = [_sample(i, meta={"weight": weight}, task=task) for i, (weight, task) in enumerate(weights)]
    unit = units_of(samples, "r", lambda sample: True)
    source = Source(tuple(unit), draw="heaviest", task_weights={"scene": 12.0}, answers_per_image=3)
    visits = [[s.id for s in Mixture([source], seed=0).unit(epoch, 0).samples] for epoch in range(4)]
    assert visits == [["3", "1", "2"]] * 4, "equal weights in file order"


def test_a_visit_takes_as_many_answers_as_asked() -> None:
    unit = units_of([_sample(i) for i in range(6)], "r", lambda sample: True)
    mixture = Mixture([Source(tuple(unit), draw="uniform", answers_per_image=4)], seed=0)
    visits = [tuple(s.id for s in mixture.unit(epoch, 0).samples) for epoch in range(5)]
    assert all(len(set(visit)) == 4 for visit in visits)
    assert len(set(visits)) > 1
    assert mixture.unit(2, 0) == mixture.unit(2, 0)


def test_bad_weights_and_empty_sources_are_refused() -> None:
    with pytest.raises(DataError, match="weight"):
        draw_order([_sample(0, meta={"weight": -1.0})], Source(_units(1), draw="weighted"), generator(0))
    with pytest.raises(DataError, match="no sample"):
        Mixture([Source(())], seed=0)
    with pytest.raises(IndexError):
        Mixture([Source(_units(2))], seed=0).unit(0, 2)
