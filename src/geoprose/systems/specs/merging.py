"""Specs of packers, fusions and positions: how visual tokens meet the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.models.registries import FUSIONS, PACKERS, POSITIONS
from geoprose.systems.specs import deep_fusion
from geoprose.systems.specs.base import PartSpec, slot_type


class PlainSpec(PartSpec):
    """A part without options."""


class EolRowsPackerSpec(PartSpec):
    """An end-of-line token behind every row of codes."""

    eol_token: str
    """Its name in the vocabulary."""


PACKER_SPECS: dict[str, type[PartSpec]] = {
    **deep_fusion.PACKER_SPECS,
    "eol_rows": EolRowsPackerSpec,
    "flat": PlainSpec,
    "internvl": PlainSpec,
    "rows_newline": PlainSpec,
}
FUSION_SPECS: dict[str, type[PartSpec]] = {
    **deep_fusion.FUSION_SPECS,
    "scatter": PlainSpec,
    "token_ids": PlainSpec,
}
POSITION_SPECS: dict[str, type[PartSpec]] = {
    "rope1d": PlainSpec,
}

if TYPE_CHECKING:
    PackerSlot = PartSpec
    FusionSlot = PartSpec
    PositionSlot = PartSpec
else:
    PackerSlot = slot_type(PACKERS, PACKER_SPECS)
    FusionSlot = slot_type(FUSIONS, FUSION_SPECS)
    PositionSlot = slot_type(POSITIONS, POSITION_SPECS)
