"""InternVL: ``<ref>ship</ref><box>[[101, 201, 150, 266]]</box>``, whole numbers 0 to 1000 over the whole picture."""

from __future__ import annotations

from geoprose.answers.codec import BoxCodec
from geoprose.answers.formats.brackets import TAGGED_LISTS

INTERNVL = BoxCodec(
    name="internvl",
    source="OpenGVLab/InternVL documentation, grounding data; issue 1084 on offsets",
    grammar=TAGGED_LISTS,
    scale=1000.0,
)
