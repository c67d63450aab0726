"""How clear a case must be before a question is asked about it: unclear ones are skipped, not guessed."""

from __future__ import annotations

from pydantic import Field

from geoprose.core.spec import Spec


class Margins(Spec):
    """Thresholds; a share is of the tile's area, 0 to 1."""

    present: float = Field(default=0.10, gt=0, le=1)
    """Presence: a class with at least this share is there."""
    absent: float = Field(default=0.002, ge=0, le=1)
    """Presence: a class with at most this share is not there; in between it is not asked about."""
    main_min: float = Field(default=0.35, ge=0, le=1)
    """Dominant and caption: smallest share of the largest class."""
    dominant_lead: float = Field(default=0.15, ge=0, le=1)
    """Dominant: lead of the largest class over the second."""
    comparison_min: float = Field(default=0.03, ge=0, le=1)
    """Comparison: both classes have at least this share."""
    comparison_lead: float = Field(default=0.15, ge=0, le=1)
    """Comparison: difference between the two classes."""
    location_min: float = Field(default=0.08, ge=0, le=1)
    """Location: smallest share of the class."""
    location_max: float = Field(default=0.70, ge=0, le=1)
    """Location: largest share; what is everywhere has no place."""
    location_offset: float = Field(default=0.10, ge=0, le=0.5)
    """Location: smallest distance of the class's centroid from the tile's centre, in sides of the tile."""
    location_ratio: float = Field(default=1.5, ge=1)
    """Location: how many times the larger of the two offsets (east-west, north-south) exceeds the smaller."""
    list_min: float = Field(default=0.12, ge=0, le=1)
    """List: a class with at least this share is listed."""
    list_unclear: float = Field(default=0.08, ge=0, le=1)
    """List: a tile with a class between this and ``list_min`` is not asked about."""
    pair_lead: float = Field(default=0.20, ge=0, le=1)
    """Two tiles: difference between their shares."""
    box_blocks: int = Field(default=20, ge=1)
    """Box: smallest region, in blocks (a sixteenth of the side each)."""
    box_second: float = Field(default=0.5, ge=0, le=1)
    """Box: largest share of the region's size that the second region of the class may have."""
    box_max: float = Field(default=0.5, ge=0, le=1)
    """Box: largest share of the tile inside the box; a box around everything asks for nothing."""
    caption_lead: float = Field(default=0.10, ge=0, le=1)
    """Caption: lead of the largest class over the second."""
    caption_alone: float = Field(default=0.03, ge=0, le=1)
    """Caption: below this share of the second class, the first stands alone; up to ``present`` nothing is said."""
