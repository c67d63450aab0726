"""Split captions into words: as COCO's caption evaluation does, but without Java; on white space; as sacrebleu does.

Source: Stanford PTBTokenizer with ``-lowerCase`` and the punctuation list of pycocoevalcap's ``ptbtokenizer.py``;
mteval-v13a. Covers plain English: words with inner hyphens, points or slashes, numbers, contractions, common
abbreviations. Not covered: tags, fraction and currency characters, the rarer abbreviations, and a rule that depends on
capitals or on the next word.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PUNCTUATION = frozenset({'"', "''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"})
"""Tokens that the COCO evaluation drops."""

_ABBREVIATIONS = (
    *("etc", "vs", "al", "mr", "mrs", "ms", "dr", "prof", "gen", "gov", "jr", "sr", "st", "ave", "mt", "ft"),
    *("inc", "co", "ltd", "sq", "pp", "jan", "feb", "mar", "apr", "aug", "sept", "oct", "nov", "dec"),
)
_CLITICS = "s|m|d|re|ve|ll"
_TOKEN = re.compile(
    rf"""
    https?://\S+[a-z0-9/]
  | [a-z0-9._-]+@[a-z0-9.-]*[a-z0-9]
  | \#[a-z_]\w* | c\+\+ | c\#
  | (?:[a-z]\.){{2,}}(?:-[a-z]+)?                # u.s., u.s.-based
  | ph\.d\.
  | (?:{"|".join(_ABBREVIATIONS)})\.(?![a-z])
  | no\.(?=\d)
  | (?<![^\W_])[a-z]\.(?![a-z0-9.])              # a letter of its own with its point
  | '(?:{_CLITICS})\b | n't\b | 't(?=(?:is|was)\b) | y'(?=all\b) | '\d0s\b | '?n'(?=[a-z])
  | (?:[odlj]|qu)'(?!(?:{_CLITICS})\b)[a-z]{{2,}}  # o'clock
  | [.,]?\d+(?:[.,:/]\d+)+(?:-[^\W_]+)*(?![^\W_])  # 3.5, 1,000, 10:30, 1/2
  | [.,]\d+
  | [^\W\d_]+(?:\.[^\W\d_]+)+(?:[-_/][^\W_]+)*  # letters with inner points: end.start
  | [^\W_]+(?:[-_/][^\W_]+)*                   # words, with digits, inner hyphens and slashes
  | [?!]+ | \.\.\. | -- | ``| \'\'
  | \S
    """,
    re.VERBOSE,
)
_NEGATION = re.compile(r"([a-z])n't\b")
_JOINED = re.compile(r"(?<=\bcan)(?=not\b)|(?<=\bgon|\bwan)(?=na\b)|(?<=\bgot)(?=ta\b)|(?<=\blem|\bgim)(?=me\b)")
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_SIGNS = str.maketrans(
    {
        **{"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2026": "..."},
        **{"\u2013": "--", "\u2014": "--"},
    }
)

_SKIPPED = re.compile(r"<skipped>|-\n")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_13A = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def tokenise_caption(text: str) -> list[str]:
    """Return the lower-case words of ``text`` without punctuation, as PTBTokenizer and COCO's list of signs do."""
    return [token for piece in text.lower().split() for token in _tokens_of(piece)]


def tokenise_13a(text: str) -> list[str]:
    """Split a caption as the mteval-v13a script and sacrebleu do; case is kept."""
    text = _SKIPPED.sub("", text).replace("\n", " ")
    if "&" in text:
        for entity, character in _ENTITIES:
            text = text.replace(entity, character)
    text = f" {text} "
    for pattern, replacement in _13A:
        text = pattern.sub(replacement, text)
    return text.split()


def tokenise_spaces(text: str) -> list[str]:
    """Split on white space, in lower case; punctuation stays on its word."""
    return text.lower().split()


WordSplit = Literal["ptb", "split", "13a"]
WORDS: Mapping[WordSplit, Callable[[str], list[str]]] = {
    "ptb": tokenise_caption,
    "split": tokenise_spaces,
    "13a": tokenise_13a,
}
"""The ways to split a caption, by name."""


@lru_cache(maxsize=1 << 16)
def _tokens_of(piece: str) -> tuple[str, ...]:
    """Return the words of one piece without white space; captions repeat their pieces, so most are known."""
    piece = piece.translate(_SIGNS).replace("&amp;", "&")
    prepared = _JOINED.sub(" ", _NEGATION.sub(r"\1 n't", piece))
    tokens = (_BRACKETS.get(token, token) for token in _TOKEN.findall(prepared))
    return tuple(token for token in tokens if token not in PUNCTUATION)
