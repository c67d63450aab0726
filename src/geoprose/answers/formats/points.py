"""The grammar ``<box>(x1,y1),(x2,y2)</box>`` of Qwen-VL and its special-token spelling of Qwen2-VL."""

from __future__ import annotations

from geoprose.answers.formats.tagged import TaggedGrammar
from geoprose.answers.grammar import MAX_FRAGMENT, NUMBER, NUMBER_LIKE, SEPARATOR

_POINT = rf"\(\s*{NUMBER_LIKE}(?:{SEPARATOR}{NUMBER_LIKE}){{0,5}}\s*\)"
_PAIR = rf"{_POINT}\s*,?\s*{_POINT}"
_OPEN = r"(?:<box>|<\|box_start\|>)"
_CLOSE = r"(?:</box>|<\|box_end\|>)"
_FRAGMENT = (
    # Tags are optional: a tokenizer that skips special tokens leaves the points alone.
    rf"(?:{_OPEN}\s*)?(?P<body>{_PAIR})(?:\s*{_CLOSE})?"
    rf"|{_OPEN}[^<]{{0,{MAX_FRAGMENT}}}(?:{_CLOSE})?"
    rf"|\(\s*{NUMBER}\s*,\s*{NUMBER}\s*\)\s*,\s*\([^()]{{0,100}}\Z"
)
_TAGS = ("<ref>", "</ref>")
_SPECIAL_TAGS = ("<|object_ref_start|>", "<|object_ref_end|>")

TAGGED_POINTS = TaggedGrammar(
    fragment=_FRAGMENT,
    body=_PAIR,
    template="<box>({numbers})</box>",
    number_separator=",",
    angle_separator=",",
    label_tags=(_TAGS, _SPECIAL_TAGS),
    split_corners="),(",
)

SPECIAL_TOKEN_POINTS = TaggedGrammar(
    fragment=_FRAGMENT,
    body=_PAIR,
    template="<|box_start|>({numbers})<|box_end|>",
    number_separator=",",
    angle_separator=",",
    label_tags=(_SPECIAL_TAGS, _TAGS),
    split_corners="),(",
)
