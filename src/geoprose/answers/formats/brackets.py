"""Grammars of bracketed lists: ``[[83, 58, 87, 62, 37]]``, ``<box>[[1, 2, 3, 4]]</box>``, ``[0.1, 0.2, 0.3, 0.4]``."""

from __future__ import annotations

from geoprose.answers.formats.tagged import TaggedGrammar
from geoprose.answers.grammar import MAX_FRAGMENT, NUMBER, NUMBER_LIKE, SEPARATOR

NUMBER_LIST = rf"{NUMBER_LIKE}(?:{SEPARATOR}{NUMBER_LIKE}){{1,12}}"
"""Two numbers or more; one number in brackets is a citation, not a box."""

LIST_FRAGMENT = (
    rf"\[\s*(?:(?P<body>{NUMBER_LIST})\s*\]"
    rf"|{NUMBER}[\s,]{{1,20}}[-+.0-9][^\[\]]{{0,{MAX_FRAGMENT}}}\]?"  # starts like a box and goes wrong
    rf"|{NUMBER}[\s,]{{0,20}}\Z)"  # cut off after the first number
)
_NO_LIST_IN_TAG = rf"<box>(?!\s*\[\s*(?:\[\s*)?{NUMBER_LIKE}{SEPARATOR}{NUMBER_LIKE})[^<\[]{{0,{MAX_FRAGMENT}}}"

EARTHDIAL_LISTS = TaggedGrammar(
    fragment=rf"{LIST_FRAGMENT}|{_NO_LIST_IN_TAG}",
    body=NUMBER_LIST,
    template="[[{numbers}]]",
    number_separator=", ",
    angle_separator=", ",
    label_tags=(("<ref>", "</ref>"),),
    joiners=r"[\]\s]*(?:</box>)?\s*(?:<box>)?[\[\s]*",
)

TAGGED_LISTS = TaggedGrammar(
    fragment=rf"{LIST_FRAGMENT}|{_NO_LIST_IN_TAG}",
    body=NUMBER_LIST,
    template="<box>[[{numbers}]]</box>",
    number_separator=", ",
    angle_separator=", ",
    label_tags=(("<ref>", "</ref>"),),
    joiners=r"[\]\s]*(?:</box>)?\s*(?:<box>)?[\[\s]*|\]\s*,\s*\[?|\s*,\s*",
)

PLAIN_LISTS = TaggedGrammar(
    fragment=LIST_FRAGMENT,
    body=NUMBER_LIST,
    template="[{numbers}]",
    number_separator=", ",
    angle_separator=", ",
    label_tags=(),
    box_joiner=", ",
)
