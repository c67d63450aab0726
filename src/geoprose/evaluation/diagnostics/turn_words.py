"""Turn the words for directions in an English text: sides of the picture, compass, above and below."""

from __future__ import annotations

import re
from collections.abc import Callable

from geoprose.evaluation.diagnostics.place import CannotMoveError

Direction = Callable[[int, int], tuple[int, int]]
"""Where something points after the turn that pointed to ``(x, y)``, x right and y down."""
LEFT, RIGHT, UP, DOWN = (-1, 0), (1, 0), (0, -1), (0, 1)

_SETS: tuple[dict[tuple[int, int], str], ...] = (
    {LEFT: "left", RIGHT: "right", UP: "top", DOWN: "bottom"},
    {LEFT: "left", RIGHT: "right", UP: "upper", DOWN: "lower"},
    {LEFT: "leftmost", RIGHT: "rightmost", UP: "topmost", DOWN: "bottommost"},
    {LEFT: "leftmost", RIGHT: "rightmost", UP: "uppermost", DOWN: "lowermost"},
    {LEFT: "leftward", RIGHT: "rightward", UP: "upward", DOWN: "downward"},
    {LEFT: "leftwards", RIGHT: "rightwards", UP: "upwards", DOWN: "downwards"},
    {LEFT: "west", RIGHT: "east", UP: "north", DOWN: "south"},
    {LEFT: "western", RIGHT: "eastern", UP: "northern", DOWN: "southern"},
    {LEFT: "westernmost", RIGHT: "easternmost", UP: "northernmost", DOWN: "southernmost"},
    {LEFT: "westward", RIGHT: "eastward", UP: "northward", DOWN: "southward"},
    {LEFT: "westwards", RIGHT: "eastwards", UP: "northwards", DOWN: "southwards"},
    {LEFT: "westbound", RIGHT: "eastbound", UP: "northbound", DOWN: "southbound"},
    {LEFT: "to the left of", RIGHT: "to the right of", UP: "above", DOWN: "below"},
)
"""Words that become one another; where a word is in two sets the first one counts."""
_NOT_READ_BACK = frozenset(("to the left of", "to the right of"))
"""Written for a turned "above", but read as the word "left" or "right" by itself."""
_WORDS: dict[str, dict[tuple[int, int], str]] = {}
_POINTS: dict[str, tuple[int, int]] = {}
for _set in _SETS:
    for _point, _word in _set.items():
        if _word not in _NOT_READ_BACK and _word not in _WORDS:
            _WORDS[_word], _POINTS[_word] = _set, _point
_AXES = {"horizontal": "vertical", "horizontally": "vertically"}
_AXES |= {down: across for across, down in _AXES.items()}

_VERTICAL, _HORIZONTAL = "top|bottom|upper|lower", "left|right"
_CORNER = re.compile(
    rf"\b(?:(?P<v1>{_VERTICAL})(?P<s1>[- ]?)(?P<h1>{_HORIZONTAL})"
    rf"|(?P<h2>{_HORIZONTAL})(?P<s2>[- ]?)(?P<v2>{_VERTICAL})"
    r"|(?P<v3>north|south)(?P<s3>[- ]?)(?P<h3>east|west)(?P<end>ern|wards?|bound)?)\b",
    flags=re.IGNORECASE,
)
_ONE = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, [*_WORDS, *_AXES]), key=len, reverse=True)) + r")\b", flags=re.IGNORECASE
)
_STUCK = re.compile(
    r"\b(?:(?i:on top of|top[- ](?:view|down)|right[- ]angle[ds]?|right (?:answer|option|choice|now|one|order)"
    r"|(?:left|right)[- ]hand(?:ed)?|left (?:over|behind|out)|(?:is|are|was|were|have|has|been) left(?! (?:of|side))"
    r"|all right|right[- ]of[- ]way|(?:counter|anti)?-?clockwise|o'clock|rows?|columns?|degrees?|diagonal(?:ly)?"
    r"|beneath|underneath|(?:facing|heading|pointing) (?:up|down))|[NS]{1,2}[EW]{1,2})\b"
)
_PLACE_NAME = re.compile(r"\b(?:North|South|East|West)(?:ern)? [A-Z]")
_ABOVE_NUMBER = re.compile(
    r"\b(?:above|below) (?=\d|zero\b|one\b|two\b|sea level\b|average\b|the average\b)", re.IGNORECASE
)


def turned_words(text: str, direction: Direction) -> str:
    """Return the text with every direction turned; a text without directions as it is.

    Corners ("upper left", "north-east") turn as corners; "above" becomes "to the left of" where it must; "horizontal"
    and "vertical" change places on a quarter turn.

    Args:
        text: English text.
        direction: The turn.

    Raises:
        CannotMoveError: If a word is ambiguous ("right angle", "is left") or cannot be turned ("clockwise", "row").
    """
    if _is_identity(direction):
        return text
    if stuck := _STUCK.search(text) or _PLACE_NAME.search(text):
        raise CannotMoveError(f"{stuck.group()!r} in {text[:60]!r} cannot be turned.")
    kept: list[str] = []

    def keep(written: str, like: str) -> str:
        kept.append(_in_case(written, like))
        return f"\0{len(kept) - 1}\0"

    marked = _ABOVE_NUMBER.sub(lambda found: keep(found.group(), ""), text)
    marked = _CORNER.sub(lambda found: keep(_corner(found, direction), found.group()), marked)
    marked = _ONE.sub(lambda found: keep(_single(found.group().lower(), direction), found.group()), marked)
    return re.sub(r"\0(\d+)\0", lambda found: kept[int(found.group(1))], marked)


def _single(word: str, direction: Direction) -> str:
    if word in _AXES:
        return _AXES[word] if direction(1, 0)[0] == 0 else word
    turned = direction(*_POINTS[word])
    return _WORDS[word][turned]


def _corner(found: re.Match[str], direction: Direction) -> str:
    parts = found.groupdict()
    number = next(digit for digit in "123" if parts[f"v{digit}"])
    vertical, between, horizontal = (parts[f"{letter}{number}"].lower() for letter in "vsh")
    is_compass = number == "3"
    upper = _POINTS[vertical if vertical in _POINTS else "top"]
    x, y = direction(_POINTS[horizontal][0], upper[1])
    ups = _WORDS[vertical]
    new_vertical, new_horizontal = ups[0, y], (_WORDS[horizontal] if is_compass else ups)[x, 0]
    if number == "2":
        return new_horizontal + between + new_vertical
    return new_vertical + between + new_horizontal + (parts["end"] or "").lower()


def _in_case(written: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return written.upper()
    return written[:1].upper() + written[1:] if like[:1].isupper() else written


def _is_identity(direction: Direction) -> bool:
    return direction(1, 0) == (1, 0) and direction(0, 1) == (0, 1)
