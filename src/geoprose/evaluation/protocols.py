"""What a protocol is: the published ways to score one kind of answer, each a named variant that says how it differs.

Half of this field's disagreements are two scripts under one name. Here every script is a variant with a name, a source
and one sentence of difference; the faulty ones are kept, flagged, so that published numbers can be reproduced and seen
for what they are. One variant is the default.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, PositiveInt, model_validator

from geoprose.core.errors import PresetError
from geoprose.core.preset_folder import PresetFolder
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import Spec
from geoprose.evaluation.metrics.registry import METRICS

if TYPE_CHECKING:
    from geoprose.evaluation.metrics.base import Metric

PROTOCOLS = PresetFolder("protocols", "protocol")


class VariantSpec(Spec):
    """One way to score."""

    metric: str
    """Name in the table of metrics."""
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Keyword arguments of the metric."""
    differs: str
    """What it does differently from the default variant, in one sentence; of the default, what it does."""
    source: str
    """Paper or code that scores like this."""
    fault: str = ""
    """Why its numbers must not be trusted; empty for a sound variant."""
    needs: tuple[str, ...] = ()
    """Keys of a sample's meta without which the variant cannot be computed."""


class ProtocolSpec(Spec):
    """The variants that score one kind of answer."""

    name: str
    """Name that tasks and the command line take."""
    title: str
    """Heading in reports."""
    description: str
    """What is scored, and what published work disagrees about."""
    version: PositiveInt
    """Raised whenever a number could change."""
    default: str
    """The variant whose score counts."""
    variants: dict[str, VariantSpec]
    """Every variant by name."""

    @model_validator(mode="after")
    def _check_default(self) -> ProtocolSpec:
        if self.default not in self.variants:
            raise ValueError(f"default is {self.default!r}; variants are {', '.join(self.variants)}")
        if self.variants[self.default].fault:
            raise ValueError(f"default {self.default!r} is flagged as faulty; choose a sound variant")
        return self

    def metric(self, variant: str = "") -> Metric:
        """Build the metric of a variant, of the default one when empty.

        Raises:
            PresetError: If the variant is unknown.
        """
        return build_metric(self.variant(variant))

    def variant(self, name: str = "") -> VariantSpec:
        """Return a variant by name, the default one when empty.

        Raises:
            PresetError: If the name is unknown; close names are listed.
        """
        name = name or self.default
        if name not in self.variants:
            raise PresetError(unknown_name_message(f"variant of protocol {self.name}", name, self.variants))
        return self.variants[name]


def build_metric(variant: VariantSpec) -> Metric:
    """Build the metric of a variant.

    Raises:
        PresetError: If the metric does not take the variant's options.
    """
    chosen: Any = METRICS.get(variant.metric)
    try:
        metric: Metric = chosen(**variant.options)
    except TypeError as error:
        raise PresetError(f"Metric {variant.metric} does not take {variant.options}: {error}.") from error
    return metric


@cache
def list_protocols() -> tuple[str, ...]:
    """Return the names of the built-in protocols, sorted."""
    return PROTOCOLS.names()


@cache
def load_protocol(name: str) -> ProtocolSpec:
    """Load a built-in protocol.

    Raises:
        PresetError: If the name is unknown; close names are listed.
        ConfigError: If the YAML is wrong.
    """
    return PROTOCOLS.load(ProtocolSpec, name)
