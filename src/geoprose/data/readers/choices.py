"""Questions with lettered options: the one way in which readers make them."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any

from geoprose.data.readers.picture import json_list
from geoprose.data.records import fail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.core.types import JsonValue, Sample
    from geoprose.data.readers.picture import Picture

LETTERS = string.ascii_uppercase
_LETTERED = re.compile(r"\s*\(?([A-Z])[.):]\s*(.*\S)\s*", re.DOTALL)


def ask_choice(
    picture: Picture, question: str, options: Sequence[str], right: Any, where: str, **meta: JsonValue
) -> Sample:
    """Return a question of type ``choice``; right are the letter and the text of its option.

    Args:
        picture: What is asked about.
        question: The bare question.
        options: Texts of the options, without letters.
        right: Letter of the right one, or its place from 0.
        where: Place in the file, for the message of an error.
        meta: Further keys.

    Raises:
        DataError: If there are fewer than two options, or the right one is none of them.
    """
    if not 2 <= len(options) <= len(LETTERS):
        fail(where, f"has {len(options)} options; a choice has 2 to {len(LETTERS)}")
    place = right if isinstance(right, int) and not isinstance(right, bool) else place_of(str(right))
    if not 0 <= place < len(options):
        fail(where, f"the right answer {right!r} is none of the {len(options)} options (test sets hide theirs)")
    answers = [LETTERS[place], options[place]]
    return picture.ask("choice", question, answers, "", options=json_list(options), answer_index=place, **meta)


def place_of(letter: str) -> int:
    """Return the place of a letter, from 0; -1 for what is no letter."""
    bare = letter.strip().strip("().").upper()
    return LETTERS.index(bare) if len(bare) == 1 and bare in LETTERS else -1


def option_columns(row: Mapping[str, Any]) -> list[str]:
    """Return the texts in the columns A, B, C, ... up to the first empty one."""
    options: list[str] = []
    for letter in LETTERS:
        option = str(row.get(letter) or "").strip()
        if not option or option == "nan":
            break
        options.append(option)
    return options


def without_letters(options: Sequence[str]) -> list[str]:
    """Return the options without the letters before them, where each begins with its own."""
    found = [_LETTERED.fullmatch(option) for option in options]
    if any(match is None or match.group(1) != LETTERS[place] for place, match in enumerate(found)):
        return [option.strip() for option in options]
    return [match.group(2) for match in found if match]


def split_options(question: str) -> tuple[str, list[str]]:
    """Return a question without the lettered lines at its end, and the texts of those; no options, no change."""
    lines = question.rstrip().split("\n")
    start = next((place for place, line in enumerate(lines) if re.match(r"A[.):]\s", line)), len(lines))
    options = [line for line in lines[start:] if line.strip()]
    texts = without_letters(options)
    if len(options) < 2 or texts == [option.strip() for option in options]:
        return question.strip(), []
    return "\n".join(lines[:start]).strip(), texts
