"""The grammar ``{<40><89><46><94>|<57>}`` of GeoChat, VRSBench and MiniGPT-v2."""

from __future__ import annotations

from geoprose.answers.formats.tagged import TaggedGrammar
from geoprose.answers.grammar import MAX_FRAGMENT, NUMBER_LIKE

_NUMBER = rf"<\s*{NUMBER_LIKE}\s*>"

BRACES = TaggedGrammar(
    # A box that was cut off (no closing brace) is found too, without a body, so that it is reported.
    fragment=rf"\{{\s*(?=<)(?:(?P<body>[^{{}}]{{0,{MAX_FRAGMENT}}})\}}|[^{{}}]{{0,{MAX_FRAGMENT}}})",
    body=rf"(?:{_NUMBER}\s*){{1,12}}(?:\|\s*{_NUMBER}\s*)?",
    template="{<{numbers}>}",
    number_separator="><",
    angle_separator=">|<",
    label_tags=(("<p>", "</p>"),),
    label_space=" ",
    box_joiner="<delim>",
    joiners=r"\s*(?:<delim>\s*)?",
)
