"""GeoChat: ``<p>4 small cars</p> {<40><89><46><94>|<57>}<delim>{<..>}``."""

from __future__ import annotations

from dataclasses import replace

from geoprose.answers.angles import MIN_AREA_RECT, UNROTATED_AT_90
from geoprose.answers.codec import BoxCodec
from geoprose.answers.formats.braces import BRACES

GEOCHAT = BoxCodec(
    name="geochat",
    source="mbzuai-oryx/GeoChat, geochat_demo.py and the GeoChat-Instruct annotations",
    grammar=BRACES,
    scale=100.0,
    frame="chip",  # annotations divide by the width and height of the picture, before any resize or crop
    angle=MIN_AREA_RECT,
    is_angle_always_written=True,
)
"""Whole numbers 0 to 100 of the unrotated box, angle in degrees; see angles.MIN_AREA_RECT for the evidence.

The meaning of the angle is disputed (GeoChat issues 5 and 74); ``GEOCHAT_UNROTATED_AT_90`` is the other reading.
"""

GEOCHAT_UNROTATED_AT_90 = replace(GEOCHAT, name="geochat_unrotated_at_90", angle=UNROTATED_AT_90)
"""GeoChat's text read as third-party ports do: an angle of 90 leaves the box as written."""
