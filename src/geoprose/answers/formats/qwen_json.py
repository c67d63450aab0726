"""Qwen2.5-VL and Qwen3-VL: ``[{"bbox_2d": [x1, y1, x2, y2], "label": "ship"}]``. Same text, different scale."""

from __future__ import annotations

from geoprose.answers.codec import BoxCodec
from geoprose.answers.formats.json_boxes import JsonGrammar

_BBOX_2D = JsonGrammar(("bbox_2d",))

QWEN2_5_VL = BoxCodec(
    name="qwen2_5_vl",
    source="QwenLM/Qwen3-VL, cookbooks of Qwen2.5-VL; issues 676, 721, 830",
    grammar=_BBOX_2D,
    scale=None,
    frame="model",
)
"""Absolute pixels of the picture after the processor's resize (sides are multiples of 28): needs the resize history."""

QWEN3_VL = BoxCodec(
    name="qwen3_vl",
    source="QwenLM/Qwen3-VL README: relative coordinates 0 to 1000",
    grammar=_BBOX_2D,
    scale=1000.0,
)
