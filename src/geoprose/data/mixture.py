"""Sources of samples mixed by weight; what an epoch visits is arithmetic, never hidden state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from geoprose.core.types import Sample


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
    """

    images: tuple[str, ...]
    samples: tuple[Sample, ...]
    root: str


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


@dataclass(frozen=True)
class Source:
    """Units of one file, how much of them an epoch takes, and how many answers of a unit a visit takes."""

    units: tuple[Unit, ...]
    weight: float = 1.0
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
                return _draw(unit, source.answers_per_image, generator(self.seed, 1, number, epoch, slot))
            slot -= source.num_slots
        raise IndexError(f"slot {slot} is past the end of the epoch")

    def order(self, epoch: int) -> np.ndarray:
        """Return the order in which epoch ``epoch`` visits its slots."""
        return generator(self.seed, 2, epoch).permutation(len(self))

    def _make_permutation(self, number: int, cycle: int) -> np.ndarray:
        return generator(self.seed, 0, number, cycle).permutation(len(self.sources[number].units))


def _draw(unit: Unit, count: int | None, random: np.random.Generator) -> Unit:
    if count is None or count >= len(unit.samples):
        return unit
    chosen = random.permutation(len(unit.samples))[:count]
    return Unit(unit.images, tuple(unit.samples[int(index)] for index in chosen), unit.root)
