r"""VRSBench: axis-aligned boxes and two spellings of rotated ones, whole numbers 0 to 100 in braces.

Its own parser reads numbers by ``\d+`` and so drops minus signs; here a minus sign is read.
"""

from __future__ import annotations

from geoprose.answers.angles import CLOCKWISE
from geoprose.answers.codec import BoxCodec
from geoprose.answers.formats.braces import BRACES

_SOURCE = "lx709/VRSBench, evaluation code"

VRSBENCH = BoxCodec(name="vrsbench", source=_SOURCE, grammar=BRACES, scale=100.0)
"""``{<x1><y1><x2><y2>}``."""

VRSBENCH_OBB_V1 = BoxCodec(
    name="vrsbench_obb_v1",
    source=_SOURCE,
    grammar=BRACES,
    scale=100.0,
    order="centre",
    angle=CLOCKWISE,
    is_angle_always_written=True,
)
"""``{<cx><cy><w><h>|<angle>}``."""

VRSBENCH_OBB_V2 = BoxCodec(
    name="vrsbench_obb_v2",
    source=_SOURCE,
    grammar=BRACES,
    scale=100.0,
    angle=CLOCKWISE,
    is_angle_always_written=True,
)
"""``{<x1><y1><x2><y2>|<angle>}``: top-left and bottom-right of the unrotated box."""
