"""The Porter stemmer with the extensions of NLTK, on which rouge-score and nltk's METEOR rest.

Source:
    Porter, An algorithm for suffix stripping, Program 14(3), 1980; nltk.stem.porter, mode NLTK_EXTENSIONS: a pool of
    irregular forms, words of two letters left alone, and small changes of steps 1 and 2.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Rule = tuple[str, str, Callable[[str], bool]]

_IRREGULAR = {
    **{"sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news"},
    **{"innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing"},
    **{"cannings": "canning", "canning": "canning", "howe": "howe"},
    **{"proceed": "proceed", "exceed": "exceed", "succeed": "succeed"},
}
_SUFFIXES_4 = ("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent")
_MORE_SUFFIXES_4 = ("ou", "ism", "ate", "iti", "ous", "ive", "ize")
_DOUBLE_CONSONANT = "*d"


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return the stem of an English word, in lower case."""
    word = word.lower()
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_step_1a, _step_1b, _step_1c, _step_2, _step_3, _step_4, _step_5a, _step_5b):
        word = step(word)
    return word


def _is_consonant(word: str, place: int) -> bool:
    if word[place] == "y":
        return place == 0 or not _is_consonant(word, place - 1)
    return word[place] not in "aeiou"


def _measure(word: str) -> int:
    """Count the places where a vowel is followed by a consonant."""
    kinds = [_is_consonant(word, place) for place in range(len(word))]
    return sum(not first and second for first, second in pairwise(kinds))


def _has_vowel(word: str) -> bool:
    return any(not _is_consonant(word, place) for place in range(len(word)))


def _ends_in_double_consonant(word: str) -> bool:
    return len(word) >= 2 and word[-1] == word[-2] and _is_consonant(word, len(word) - 1)


def _ends_in_cvc(word: str) -> bool:
    last = len(word) - 1
    if last == 1:
        return not _is_consonant(word, 0) and _is_consonant(word, 1)
    return (
        last >= 2
        and _is_consonant(word, last - 2)
        and not _is_consonant(word, last - 1)
        and _is_consonant(word, last)
        and word[last] not in "wxy"
    )


def _always(_: str) -> bool:
    return True


def _is_positive(word: str) -> bool:
    return _measure(word) > 0


def _is_above_one(word: str) -> bool:
    return _measure(word) > 1


def _apply(word: str, rules: Iterable[Rule]) -> str:
    """Apply the first rule whose suffix fits; when its condition fails, no other rule is tried."""
    for suffix, replacement, condition in rules:
        if suffix == _DOUBLE_CONSONANT:
            is_fit, rest = _ends_in_double_consonant(word), word[:-2]
        else:
            is_fit, rest = word.endswith(suffix), word[: len(word) - len(suffix)]
        if is_fit:
            return rest + replacement if condition(rest) else word
    return word


def _step_1a(word: str) -> str:
    if word.endswith("ies") and len(word) == 4:
        return word[:-1]
    return _apply(word, (("sses", "ss", _always), ("ies", "i", _always), ("ss", "ss", _always), ("s", "", _always)))


def _step_1b(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _is_positive(word[:-3]) else word
    for suffix in ("ed", "ing"):
        rest = word[: -len(suffix)]
        if word.endswith(suffix) and _has_vowel(rest):
            return _apply(rest, _rules_1b(rest))
    return word


def _rules_1b(rest: str) -> tuple[Rule, ...]:
    return (
        ("at", "ate", _always),
        ("bl", "ble", _always),
        ("iz", "ize", _always),
        (_DOUBLE_CONSONANT, rest[-1], lambda _: rest[-1] not in "lsz"),
        ("", "e", lambda word: _measure(word) == 1 and _ends_in_cvc(word)),
    )


def _step_1c(word: str) -> str:
    return _apply(word, (("y", "i", lambda rest: len(rest) > 1 and _is_consonant(rest, len(rest) - 1)),))


def _step_2(word: str) -> str:
    if word.endswith("alli") and _is_positive(word[:-4]):
        return _step_2(word[:-2])
    rules: tuple[Rule, ...] = tuple((suffix, replacement, _is_positive) for suffix, replacement in _PAIRS_2)
    return _apply(word, (*rules, ("logi", "log", lambda _: _is_positive(word[:-3]))))


_PAIRS_2 = (
    *(("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble")),
    *(("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate")),
    *(("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous")),
    *(("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful")),
)
_PAIRS_3 = (
    *(("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")),
)


def _step_3(word: str) -> str:
    return _apply(word, ((suffix, replacement, _is_positive) for suffix, replacement in _PAIRS_3))


def _step_4(word: str) -> str:
    rules: list[Rule] = [(suffix, "", _is_above_one) for suffix in _SUFFIXES_4]
    rules.append(("ion", "", lambda rest: _is_above_one(rest) and rest[-1] in "st"))
    rules += [(suffix, "", _is_above_one) for suffix in _MORE_SUFFIXES_4]
    return _apply(word, rules)


def _step_5a(word: str) -> str:
    rest = word[:-1]
    is_cut = word.endswith("e") and (_is_above_one(rest) or (_measure(rest) == 1 and not _ends_in_cvc(rest)))
    return rest if is_cut else word


def _step_5b(word: str) -> str:
    return _apply(word, (("ll", "l", lambda _: _is_above_one(word[:-1])),))
