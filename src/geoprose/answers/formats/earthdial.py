"""EarthDial: ``[[83, 58, 87, 62, 37]]``, several as ``[[..]][[..]]``, whole numbers 0 to 100 and an angle."""

from __future__ import annotations

from geoprose.answers.angles import MIN_AREA_RECT
from geoprose.answers.codec import BoxCodec
from geoprose.answers.formats.brackets import EARTHDIAL_LISTS

EARTHDIAL = BoxCodec(
    name="earthdial",
    source="hiyamdebary/EarthDial, src/earthdial/eval/rs_detection/results",
    grammar=EARTHDIAL_LISTS,
    scale=100.0,
    angle=MIN_AREA_RECT,  # its annotations are GeoChat's, respelt
    is_angle_always_written=True,
)
"""Also read inside ``<box>..</box>`` (regions in questions) and after ``<ref>..</ref>``."""
