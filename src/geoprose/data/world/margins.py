"""How clear a case must be before a question is asked about it: unclear ones are skipped, not guessed."""

from __future__ import annotations

from pydantic import Field

from geoprose.core.spec import Spec


class Margins(Spec):
    """Thresholds on shares of a tile's area (0 to 1)."""

    present: float = Field(default=0.10, gt=0, le=1)
    """A class with at least this share is present."""
    absent: float = Field(default=0.0, ge=0, le=1)
    """A class with at most this share is absent; between the two it is not asked about."""
    dominant_lead: float = Field(default=0.15, ge=0, le=1)
    """Lead of the largest class over the second for a question about the dominant class."""
    comparison_min: float = Field(default=0.05, ge=0, le=1)
    """Both classes of a comparison cover at least this."""
    comparison_lead: float = Field(default=0.15, ge=0, le=1)
    """Difference between the two classes of a comparison."""
    location_min: float = Field(default=0.05, ge=0, le=1)
    """Smallest share of a class whose place is asked for."""
    location_max: float = Field(default=0.50, ge=0, le=1)
    """Largest share of a class whose place is asked for: what is everywhere has no place."""
    location_lead: float = Field(default=0.20, ge=0, le=1)
    """Lead of the right place over the next, as shares of the class's own area."""
    amount_edge: float = Field(default=0.05, ge=0, le=0.2)
    """Distance from a bin's edge below which an amount is not asked for."""
    pair_lead: float = Field(default=0.25, ge=0, le=1)
    """Difference between two tiles for a question about which has more."""
    box_min: float = Field(default=0.05, ge=0, le=1)
    """Smallest share of the tile that the largest region of a class covers."""
    box_max: float = Field(default=0.70, ge=0, le=1)
    """Largest share: a box around everything asks for nothing."""
    box_lead: float = Field(default=1.5, ge=1)
    """How many times larger the largest region must be than the second of its class."""
