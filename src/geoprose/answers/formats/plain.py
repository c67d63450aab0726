"""Plain number lists and dictionaries: LHRS-Bot, EarthGPT, TEOChat, VHM, geoai."""

from __future__ import annotations

from geoprose.answers.codec import BoxCodec
from geoprose.answers.formats.brackets import PLAIN_LISTS
from geoprose.answers.formats.json_boxes import JsonGrammar

UNIT = BoxCodec(
    name="unit",
    source="NJU-LHRS/LHRS-Bot: [x1, y1, x2, y2] from 0 to 1",
    grammar=PLAIN_LISTS,
    scale=1.0,
    decimals=3,
)

EARTHGPT = BoxCodec(
    name="earthgpt",
    source="EarthGPT / MMRS-1M: [x1, y1, x2, y2] from 0 to 1 after padding to a square",
    grammar=PLAIN_LISTS,
    scale=1.0,
    decimals=3,
    frame="model",
)

TEOCHAT = BoxCodec(
    name="teochat",
    source="ermongroup/TEOChat: [x1, y1, x2, y2], whole numbers 0 to 100",
    grammar=PLAIN_LISTS,
    scale=100.0,
)

VHM = BoxCodec(
    name="vhm",
    source="fitzpchao/RSEvalKit model_eval_mp.py (VHM): [x1, y1, x2, y2], whole numbers 0 to 1000",
    grammar=PLAIN_LISTS,
    scale=1000.0,
)

GEOAI = BoxCodec(
    name="geoai",
    source="opengeos/geoai: x_min, y_min, x_max, y_max from 0 to 1",
    grammar=JsonGrammar(("x_min", "y_min", "x_max", "y_max")),
    scale=1.0,
    decimals=4,
)
