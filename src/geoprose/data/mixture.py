"""Sources of samples mixed by weight; what an epoch visits is arithmetic, never hidden state."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from geoprose.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from geoprose.core.types import Sample

Draw = Literal["in_order", "uniform", "weighted", "heaviest"]


def generator(*key: int) -> np.random.Generator:
    """Return a generator that depends on ``key`` only, e.g. (seed, epoch, index)."""
    return np.random.default_rng(np.random.SeedSequence([abs(int(part)) for part in key]))


@dataclass(frozen=True)
class Unit:
    """What one row is made of: samples that show the same images.

    Attributes:
        images: Image paths relative to the source's folder.
        samples: At least one.
        root: The source's folder.
        seed: Key of all randomness of this visit.
    """

    images: tuple[str, ...]
    samples: tuple[Sample, ...]
    root: str
    seed: tuple[int, ...] = (0,)


def units_of(samples: Iterable[Sample], root: str, can_share: Callable[[Sample], bool] | None = None) -> list[Unit]:
    """Make one unit a sample; samples of the same images that ``can_share`` accepts become one unit together.

    Units are in order of first appearance.
    """
    groups: dict[tuple[str, ...], list[Sample]] = {}
    for sample in samples:
        shares = can_share is not None and bool(sample.images) and can_share(sample)
        key = sample.images if shares else (*sample.images, "", sample.id)
        groups.setdefault(key, []).append(sample)
    return [Unit(members[0].images, tuple(members), root) for members in groups.values()]


FIXED_DRAWS: frozenset[Draw] = frozenset({"in_order", "heaviest"})
"""Draws that take the same samples at every visit."""


@dataclass(frozen=True)
class Source:
    """Units of one file, how much of them an epoch takes, and how a visit orders a unit's samples.

    Attributes:
        units: At least one.
        weight: Share of the units that an epoch visits.
        draw: ``in_order``, ``uniform``, ``weighted`` or ``heaviest``, see ``draw_order``.
        task_weights: Factor per question type, for ``weighted`` and ``heaviest``.
        answers_per_image: Samples that a visit takes; None takes all.
    """

    units: tuple[Unit, ...]
    weight: float = 1.0
    draw: Draw = "in_order"
    task_weights: Mapping[str, float] = field(default_factory=dict)
    answers_per_image: int | None = None

    @property
    def num_slots(self) -> int:
        """Units that one epoch visits."""
        return max(1, round(len(self.units) * self.weight))


class Mixture:
    """Units of several sources; slot ``i`` of epoch ``e`` is a pure function of (seed, e, i).

    Args:
        sources: At least one non-empty source.
        seed: Seed of the whole order.
    """

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        if not sources or any(not source.units for source in sources):
            raise DataError("A data source holds no sample. Check its path, tasks and limit.")
        self.sources = tuple(sources)
        self.seed = seed
        self._permutation = lru_cache(maxsize=4 * len(self.sources))(self._make_permutation)

    def __len__(self) -> int:
        """Return the number of slots of an epoch."""
        return sum(source.num_slots for source in self.sources)

    def unit(self, epoch: int, slot: int) -> Unit:
        """Return what slot ``slot`` of epoch ``epoch`` visits.

        A source is an endless stream of permutations of its units; an epoch takes the next ``num_slots`` of them. So
        a source of weight 0.5 is seen in full over two epochs.
        """
        for number, source in enumerate(self.sources):
            if slot < source.num_slots:
                cycle, place = divmod(epoch * source.num_slots + slot, len(source.units))
                unit = source.units[int(self._permutation(number, cycle)[place])]
                return visit(unit, source, (self.seed, 1, number, epoch, slot))
            slot -= source.num_slots
        raise IndexError(f"slot {slot} is past the end of the epoch")

    def order(self, epoch: int) -> np.ndarray:
        """Return the order in which epoch ``epoch`` visits its slots."""
        return generator(self.seed, 2, epoch).permutation(len(self))

    def _make_permutation(self, number: int, cycle: int) -> np.ndarray:
        return generator(self.seed, 0, number, cycle).permutation(len(self.sources[number].units))


def visit(unit: Unit, source: Source, seed: tuple[int, ...]) -> Unit:
    """Return the unit with the samples that this visit takes, in the order in which it takes them."""
    order = draw_order(unit.samples, source, generator(*seed))[: source.answers_per_image]
    return Unit(unit.images, tuple(unit.samples[int(index)] for index in order), unit.root, (*seed, 1))


def draw_order(samples: Sequence[Sample], source: Source, random: np.random.Generator) -> np.ndarray:
    """Return the order in which a visit takes the samples.

    ``weighted`` draws without replacement: each sample waits an exponential time with rate ``w``, and the first to
    arrive is the first taken (Efraimidis and Spirakis, 2006); ``w`` is ``meta["weight"]`` times the task's weight.
    ``heaviest`` takes them by falling ``w``, equal ones in file order.
    """
    if source.draw == "in_order":
        return np.arange(len(samples))
    if source.draw == "heaviest":
        return np.argsort(-_weights(samples, source.task_weights), kind="stable")
    waits = random.exponential(size=len(samples))
    if source.draw == "weighted":
        waits = waits / _weights(samples, source.task_weights)
    return np.argsort(waits, kind="stable")


def _weights(samples: Sequence[Sample], task_weights: Mapping[str, float]) -> np.ndarray:
    return np.array([_weight(sample, task_weights) for sample in samples])


def _weight(sample: Sample, task_weights: Mapping[str, float]) -> float:
    stated = stated_weight(sample)
    return (1.0 if stated is None else stated) * task_weights.get(sample.task, 1.0)


def stated_weight(sample: Sample) -> float | None:
    """Return ``meta["weight"]``, None where it is absent.

    Raises:
        DataError: If it is no positive number.
    """
    if "weight" not in sample.meta:
        return None
    weight = sample.meta["weight"]
    if not isinstance(weight, int | float) or not weight > 0:
        raise DataError(f"Sample {sample.id}: meta['weight'] is {weight!r}; it must be a positive number.")
    return float(weight)
