"""Bring an answer and its reference to one spelling before they are compared.

The default variant of geoprose: lower case, no punctuation, no articles, number words as digits. It never looks for
one answer inside the other, because "no" is inside "unknown" and an empty answer is inside everything.
"""

from __future__ import annotations

import re

_NUMBER_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS)}
_ARTICLES = frozenset({"a", "an", "the"})
# A point or comma between two digits and a minus before one belong to the number; every other sign is a separator.
_SEPARATORS = re.compile(r"(?<!\d)[.,]|[.,](?!\d)|(?!(?<!\S)-\d)[^\w\s%.,]|_")
_LIST_SEPARATORS = re.compile(r"[,;\n]|\band\b", re.IGNORECASE)


def normalise_answer(text: str) -> str:
    """Return ``text`` in lower case without punctuation and articles, number words as digits."""
    words = _SEPARATORS.sub(" ", text.lower()).split()
    return " ".join(_DIGITS.get(word, word) for word in words if word not in _ARTICLES)


def split_list(text: str) -> list[str]:
    """Split "water, forest and desert" into its normalised items, without repeats, in order."""
    items = (normalise_answer(part) for part in _LIST_SEPARATORS.split(text))
    return list(dict.fromkeys(item for item in items if item))
