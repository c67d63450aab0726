"""Split captions into words as the COCO caption evaluation does, without Java.

Source: Stanford PTBTokenizer with ``-lowerCase`` and the punctuation list of pycocoevalcap's ``ptbtokenizer.py``.
Covers plain English: words with inner hyphens or points, numbers, contractions. Not covered: the normalisation of
currency and fraction characters, and abbreviations other than single letters with points.
"""

from __future__ import annotations

import re

PUNCTUATION = frozenset(
    {
        '"',
        *("''", "'", "``", "`", "-lrb-", "-rrb-", "-lcb-", "-rcb-"),
        *(".", "?", "!", ",", ":", "-", "--", "...", ";"),
    }
)
"""Tokens that the COCO evaluation drops."""

_TOKEN = re.compile(
    r"""
    \d+(?:[.,:/]\d+)*(?:-[a-z]+)*       # numbers: 3, 3.5, 1,000, 3-lane
  | (?:[a-z]\.){2,}                     # abbreviations: u.s.
  | '(?:s|m|d|re|ve|ll)\b               # clitics
  | n't\b
  | [^\W_]+(?:[-_.][^\W_]+)*  # words, inner hyphens kept
  | \.\.\.|--|``|''
  | \S
    """,
    re.VERBOSE,
)
_NEGATION = re.compile(r"([a-z])n't\b")
_CANNOT = re.compile(r"\bcannot\b")
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}


def tokenise_caption(text: str) -> list[str]:
    """Return the lower-case words of ``text`` without punctuation."""
    prepared = _CANNOT.sub("can not", _NEGATION.sub(r"\1 n't", text.lower().replace("\n", " ")))
    tokens = (_BRACKETS.get(token, token) for token in _TOKEN.findall(prepared))
    return [token for token in tokens if token not in PUNCTUATION]
