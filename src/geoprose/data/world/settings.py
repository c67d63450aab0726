"""Every choice that shapes the world, as one frozen spec whose hash goes into the data card."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from geoprose.core.spec import Spec
from geoprose.data.world.margins import Margins
from geoprose.data.world.quotas import EVAL_QUOTAS, Quota


class ColumnBand(Spec):
    """A north-south strip of the globe: tile columns ``first`` to ``last``, both included."""

    first: int = Field(ge=0)
    """First tile column of the strip, counted from 180 degrees west."""
    last: int = Field(ge=0)
    """Last tile column of the strip."""


def _bands(*pairs: tuple[int, int]) -> tuple[ColumnBand, ...]:
    return tuple(ColumnBand(first=first, last=last) for first, last in pairs)


class WorldSettings(Spec):
    """Settings of `build_world`; the defaults are those of the demo."""

    tile_px: int = Field(default=64, ge=16, multiple_of=16)
    """Side of a tile in pixels of the Blue Marble (1/15 degree each, about 7.4 km at the equator)."""
    train_stride_px: PositiveInt = 32
    """Step between training tiles; smaller than ``tile_px`` gives overlapping tiles."""
    north_deg: float = 84.0
    """Latitude of the northernmost tile edge."""
    south_deg: float = -60.0
    """Latitude below which no tile lies (Antarctica is one class)."""
    test_bands: tuple[ColumnBand, ...] = _bands((22, 25), (46, 48), (66, 68), (75, 76))
    """Held-out strips: eastern North America, central Europe to southern Africa, East Asia, eastern Australia."""
    val_bands: tuple[ColumnBand, ...] = _bands((14, 16), (30, 31), (57, 58))
    """Strips for choosing hyperparameters, so that nobody needs the test strips for it."""
    buffer_columns: PositiveInt = 1
    """Tile columns on each side of a held-out strip that belong to no split."""
    max_water: float = Field(default=0.9, gt=0, le=1)
    """Tiles with more water than this are skipped: open ocean teaches nothing."""
    max_ice: float = Field(default=0.97, gt=0, le=1)
    """Tiles with more ice than this are skipped."""
    min_labelled: float = Field(default=0.9, gt=0, le=1)
    """Tiles with less labelled area than this are skipped."""
    seed: int = 0
    """Seed of the order in which candidate questions are taken."""
    train_turns: tuple[int, ...] = Field(default=(0, 5), min_length=1)
    """Symmetries of the square: each training tile is shown in one of them, chosen by a hash of its name. 0 is the tile
    as it lies, 1 to 7 turn or mirror it. On the globe land cover changes from north to south far more often than from
    east to west, so a system learns to answer one or the other and never "east"; 5 exchanges rows and columns, and both
    become equally frequent."""
    margins: Margins = Margins()
    """How clear a case must be to be asked about."""
    eval_quotas: dict[str, Quota] = EVAL_QUOTAS
    """Number of validation and test questions by type."""
    train_partners: PositiveInt = 1
    """Pairs drawn per training tile; every question about a pair is kept."""
