"""What the specs of all slots share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Discriminator, Field, Tag

from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.core.registry import Registry

Scalar = bool | int | float | str | None
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def _read_exponents(value: Any) -> Any:
    """Read ``1e-5`` as a number: YAML 1.1 takes an exponent without a point for text."""
    if isinstance(value, dict):
        return {key: _read_exponents(item) for key, item in value.items()}
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


_Flat = Scalar | list[Scalar] | list[list[Scalar]]
HfValues = Annotated[
    dict[str, _Flat | dict[str, _Flat | dict[str, _Flat]]],
    BeforeValidator(_read_exponents),
]
"""Keywords of a transformers config, with sub-configs."""


def known(kind: str, name: str, names: list[str]) -> str:
    """Return ``name``; raise ValueError with the close names if it is not among ``names``."""
    if name not in names:
        raise ValueError(unknown_name_message(kind, name, names))
    return name


class PartSpec(Spec):
    """A part of a system: its name in the slot's registry, and its options."""

    type: str

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the part."""
        return self.model_dump(mode="json", exclude={"type"})

    def as_config(self) -> dict[str, Any]:
        """Return what the transformers config holds of the part."""
        return {"type": self.type, **self.arguments()}


class OtherPartSpec(PartSpec):
    """A part without a spec of its own, such as one that another package registered through entry points."""

    options: HfValues = Field(default_factory=dict)
    """Keyword arguments of the part."""

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the part."""
        return dict(self.options)


def slot_type(
    registry: Registry[Any],
    specs: Mapping[str, type[PartSpec]],
    other: type[PartSpec] = OtherPartSpec,
    default: str | None = None,
) -> Any:
    """Return the pydantic type of a slot: the spec whose name ``type`` gives, or a bare name.

    Args:
        registry: Names that exist.
        specs: Name to spec.
        other: Spec of the registered names that are not in ``specs``.
        default: Name when ``type`` is left out.
    """

    def with_type(value: Any) -> Any:
        if isinstance(value, str):
            value = {"type": value}
        if isinstance(value, dict):
            value = {"type": default, **value} if default else value
            known(registry.slot.replace("_", " "), str(value.get("type")), registry.names())
        return value

    def tag(value: Any) -> str:
        name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
        return str(name) if name in specs else "other"

    members: list[Any] = [Annotated[spec, Tag(name)] for name, spec in {**specs, "other": other}.items()]
    union: Any = Union.__getitem__(tuple(members))
    return Annotated[union, Discriminator(tag), BeforeValidator(with_type)]
