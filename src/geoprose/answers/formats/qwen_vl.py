"""Qwen-VL and Qwen2-VL: ``<ref>ship</ref><box>(101,201),(150,266)</box>``, whole numbers 0 to 999 of 1000."""

from __future__ import annotations

from geoprose.answers.codec import BoxCodec
from geoprose.answers.formats.points import SPECIAL_TOKEN_POINTS, TAGGED_POINTS

QWEN_VL = BoxCodec(
    name="qwen_vl",
    source="QwenLM/Qwen-VL README: coordinates normalised to [0, 1000)",
    grammar=TAGGED_POINTS,
    scale=1000.0,
    largest=999.0,
)

QWEN2_VL = BoxCodec(
    name="qwen2_vl",
    source="QwenLM/Qwen2-VL chat template and special tokens",
    grammar=SPECIAL_TOKEN_POINTS,
    scale=1000.0,
    largest=999.0,
)
"""The same with special tokens; points alone are read too, as left by decoding without special tokens."""
