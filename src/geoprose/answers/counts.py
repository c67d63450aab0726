"""How many objects an answer says there are."""

from __future__ import annotations

import re
from typing import Literal

Numbers = Literal["only", "first"]
"""Which number of a text is the count: the only one, or the first."""

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{f"{ten}-{unit}": 10 * t + u for t, ten in enumerate(_TENS, 2) for u, unit in enumerate(_UNITS[:10]) if u},
    **{ten: 10 * place for place, ten in enumerate(_TENS, 2)},
}
_NUMBER = re.compile(
    r"(?<![\w.])(?P<digits>[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?!\w)|\b(?P<word>[a-z]+(?:-[a-z]+)?)\b"
)
_NOTHING = re.compile(r"^(?:there (?:is|are) )?(?:no|none|nothing)\b", re.IGNORECASE)


def read_count(text: str, numbers: Numbers = "only") -> float | None:
    """Return the count that a text states, in digits or words up to ninety-nine; None when it states none.

    "No ships" and "none" are 0. A text with several different numbers states no count, unless the first is asked for;
    neither does a negative number.
    """
    found = [value for match in _NUMBER.finditer(text.lower()) if (value := _value(match)) is not None]
    if not found:
        return 0.0 if _NOTHING.match(text.strip()) else None
    if numbers == "only" and len(set(found)) > 1:
        return None
    return found[0] if found[0] >= 0 else None


def _value(match: re.Match[str]) -> float | None:
    if match["digits"] is not None:
        return float(match["digits"].replace(",", ""))
    word = match["word"]
    return float(_WORDS[word]) if word in _WORDS else None
