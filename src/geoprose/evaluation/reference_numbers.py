"""Published numbers with their provenance, to stand beside ours; disputed and inconsistent ones are marked.

One YAML file per source in ``presets/reference_numbers``. A number is never a bare float: it knows who printed it,
under which protocol, over how many questions as far as that was said, and why it is doubted if it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from geoprose.core.preset_folder import PresetFolder
from geoprose.core.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCES = PresetFolder("reference_numbers", "reference")
Unit = Literal["percent", "fraction"]


class OurFigure(Spec):
    """Where the same figure stands in a ``result.json`` of ours."""

    tasks: tuple[str, ...]
    """Our tasks over the same data."""
    type: str = ""
    """Question type; the overall figure when empty."""
    figure: str = "score"
    """Key inside the block: ``score``, ``aa``, ``acc@0.25``, ..."""
    variant: str = ""
    """Our variant that follows the source's rule; empty where the source does not say its rule well enough."""


class ReferenceColumn(Spec):
    """One published figure, printed for several systems."""

    data_set: str
    """Data set and split as the source calls them."""
    type: str = ""
    """Question type as the source calls it."""
    metric: str
    """Name of the figure."""
    protocol: str
    """How it was scored, as far as the source says; what it leaves open is said."""
    where: str = ""
    """Table, section or file inside the source."""
    unit: Unit = "percent"
    """Percent (and captions' scores times 100), or a fraction of one."""
    n: PositiveInt | None = None
    """Questions, where the source or a recount gives them."""
    ours: OurFigure | None = None
    """The figure of ours that it may stand beside."""


class Dispute(Spec):
    """Why some numbers are doubted."""

    columns: tuple[str, ...]
    """Columns concerned."""
    systems: tuple[str, ...] = ()
    """Systems concerned; all when empty."""
    reason: str
    """What is wrong or in doubt, with where it was shown."""


class Check(Spec):
    """A column that must follow from others: a weighted mean of them."""

    column: str
    """The column that is checked."""
    weights: dict[str, PositiveFloat]
    """Columns and weights whose mean it must be."""
    tolerance: PositiveFloat
    """Largest difference that printing to two decimals and rounded weights explain, in the column's unit."""
    reason: str
    """Why it must follow."""


class ReferenceSource(Spec):
    """One publication and the numbers taken from it."""

    name: str
    """Name that the command line takes."""
    title: str
    """Short name for tables."""
    provenance: str
    """What to cite, and what was read: paper, page, or file of a repository."""
    read: str
    """How the numbers were taken over, and what remains unsure."""
    columns: dict[str, ReferenceColumn]
    """Figures by key."""
    systems: dict[str, dict[str, float]]
    """Values by system and column key."""
    disputes: tuple[Dispute, ...] = ()
    """Numbers that are doubted."""
    checks: tuple[Check, ...] = ()
    """What must follow from what."""
    notes: tuple[str, ...] = Field(default=())
    """What a reader of the table should know."""

    @model_validator(mode="after")
    def _check_names(self) -> ReferenceSource:
        named = {column for values in self.systems.values() for column in values}
        named |= {column for dispute in self.disputes for column in dispute.columns}
        named |= {column for check in self.checks for column in (check.column, *check.weights)}
        if unknown := sorted(named - set(self.columns)):
            raise ValueError(f"columns does not define {', '.join(unknown)}")
        if strangers := sorted({name for dispute in self.disputes for name in dispute.systems} - set(self.systems)):
            raise ValueError(f"disputes names {', '.join(strangers)}, which systems does not have")
        return self


@dataclass(frozen=True)
class ReferenceNumber:
    """One published number.

    Attributes:
        source: The publication.
        column: What is measured.
        system: Whose number it is.
        value: As printed, in the column's unit.
        disputed: Why it is doubted; empty when nothing is known against it.
    """

    source: ReferenceSource
    column: ReferenceColumn
    system: str
    value: float
    disputed: str = ""

    @property
    def percent(self) -> float:
        """The value on the scale of percent."""
        return 100 * self.value if self.column.unit == "fraction" else self.value


@dataclass(frozen=True)
class Inconsistency:
    """A printed number that does not follow from the others of its row.

    Attributes:
        column: Key of the column.
        system: Row of the table.
        printed: The printed value.
        expected: What the other columns give.
        reason: Why it must follow.
    """

    column: str
    system: str
    printed: float
    expected: float
    reason: str

    def sentence(self) -> str:
        """Return what does not fit, in one sentence."""
        return f"{self.printed:g} is printed and the other columns give {self.expected:.2f}: {self.reason}"


def inconsistencies(source: ReferenceSource) -> list[Inconsistency]:
    """Return every number that misses what the checks of its source demand."""
    found = []
    for check in source.checks:
        for system, values in source.systems.items():
            if not {check.column, *check.weights} <= values.keys():
                continue
            total = sum(check.weights.values())
            expected = sum(weight * values[column] for column, weight in check.weights.items()) / total
            if abs(values[check.column] - expected) > check.tolerance:
                found.append(Inconsistency(check.column, system, values[check.column], expected, check.reason))
    return found


def numbers_of(source: ReferenceSource) -> Iterator[ReferenceNumber]:
    """Yield the numbers of a source; a disputed or inconsistent one carries the reasons."""
    misfits = inconsistencies(source)
    for system, values in source.systems.items():
        for key, value in values.items():
            reasons = [
                dispute.reason
                for dispute in source.disputes
                if key in dispute.columns and (not dispute.systems or system in dispute.systems)
            ]
            reasons += [misfit.sentence() for misfit in misfits if (misfit.column, misfit.system) == (key, system)]
            yield ReferenceNumber(source, source.columns[key], system, value, " ".join(reasons))


@cache
def list_references() -> tuple[str, ...]:
    """Return the names of the built-in sources, sorted."""
    return REFERENCES.names()


@cache
def load_reference(name: str) -> ReferenceSource:
    """Load the numbers of one source.

    Raises:
        PresetError: If the name is unknown; close names are listed.
        ConfigError: If the YAML is wrong.
    """
    return REFERENCES.load(ReferenceSource, name)


def all_numbers() -> list[ReferenceNumber]:
    """Return every published number of every built-in source."""
    return [number for name in list_references() for number in numbers_of(load_reference(name))]
