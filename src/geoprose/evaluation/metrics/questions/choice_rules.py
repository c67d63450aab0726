"""How the letter of a multiple-choice answer is read, by the names of the scripts that read it so.

A rule gives the letters that it reads, "" when it reads none. Ours never guesses: a word that begins with a capital
letter, "A" as an article and the "C" of "Cannot tell" are no options.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from geoprose.answers.normalise import normalise_answer
from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rule = Callable[[str, Sequence[str]], str]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STATED = re.compile(
    r"\b(?i:(?:answer|option|choice)s?(?:\s+(?:is|are|would be|should be))?)\s*[:\-]?\s*[(\[*\"']*"
    r"(?:([A-Z])(?![A-Za-z'])|([a-z])(?=\s*(?:[).\]*\"']|$)))"
)
_BRACKETED = re.compile(r"[(\[]\s*([A-Za-z])\s*[)\]]")
_LEADING = re.compile(r"^\W*([A-Za-z])\s*[).:,\]*]")
_EITHER = re.compile(r"^\W*[A-Za-z]\W*\s*(?:or|and|[,/&])\W*[A-Za-z](?![A-Za-z'])")
_LEAD_PHRASE = re.compile(r"(?i)^.*?\b(?:answers?|options?|choices?)\b\s*(?:is|are)?\s*:?\s*")
_LIST_SEPARATORS = re.compile(r"[\s,;&/()\[\].:*\"']+|\band\b", re.IGNORECASE)
_MMBENCH_SIGNS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_PREFIXES = ("The best answer is", "The correct answer is", "The answer is", "The answer")


def letters_of(options: Sequence[str]) -> str:
    """Return the letters of as many options; A to D when the options are not known."""
    return LETTERS[: len(options)] if options else LETTERS[:4]


def read_strict(text: str, options: Sequence[str]) -> str:
    """Read a letter alone, or one that the answer begins with, states or brackets, else the option whose text it is.

    Several letters that differ are no answer. A letter beyond the options is no answer.
    """
    allowed = letters_of(options)
    listed = listed_letters(text, allowed)
    if listed or _EITHER.match(text):
        return listed if len(listed) == 1 else ""
    for pattern in (_LEADING, _STATED, _BRACKETED):
        found = {"".join(groups).upper() for groups in _groups(pattern, text)}
        if found:
            return found.pop() if len(found) == 1 and found <= set(allowed) else ""
    return letter_of_text(text, options)


def listed_letters(text: str, allowed: str) -> str:
    """Return the letters of a text that is nothing but a list of them, sorted: "A", "(C), (A)", "ACD"."""
    parts = [part for part in _LIST_SEPARATORS.split(text) if part]
    if len(parts) == 1 and parts[0].isupper():
        parts = list(parts[0])
    if not parts or any(len(part) != 1 or part.upper() not in allowed for part in parts):
        return ""
    return "".join(sorted({part.upper() for part in parts}))


def _groups(pattern: re.Pattern[str], text: str) -> list[tuple[str, ...]]:
    return [tuple(group or "" for group in match.groups()) for match in pattern.finditer(text)]


def letter_of_text(text: str, options: Sequence[str]) -> str:
    """Return the letter of the only option that equals ``text`` after normalisation; empty otherwise."""
    answer = normalise_answer(text)
    equal = [letter for letter, option in zip(LETTERS, options, strict=False) if normalise_answer(option) == answer]
    return equal[0] if answer and len(equal) == 1 else ""


def read_mmbench(text: str, options: Sequence[str]) -> str:
    """Read the only letter that stands alone, else the only option whose text is inside the answer.

    Source:
        MMBench, arXiv:2307.06281, section 4.3, without its language model; VLMEvalKit matching_util.py can_infer.
        "A" as an article is the option A.
    """
    words = text.translate(_MMBENCH_SIGNS).split()
    found = [letter for letter in letters_of(options) if letter in words]
    if found:
        return found[0] if len(found) == 1 else ""
    if len(text) > 2 * sum(len(option) for option in options):
        return ""
    inside = [letter for letter, option in zip(LETTERS, options, strict=False) if option.lower() in text.lower()]
    return inside[0] if len(inside) == 1 else ""


def read_mmmu(text: str, options: Sequence[str]) -> str:
    """Read the last of the letters in brackets, else before a space or a point, else of the options that occur.

    Source:
        MMMU, arXiv:2311.16502; eval_utils.py parse_multi_choice_response, without the random letter at its end (which
        the metric adds where a variant asks for it). Any word that ends in a capital option letter gives that option.
    """
    for sign in ",.!?;:'":
        text = text.strip(sign)
    padded, letters = f" {text} ", letters_of(options)
    for form, place in (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} ")):
        found = [letter for letter in letters if form.format(letter) in padded]
        if found:
            return max(found, key=lambda letter: padded.rfind(place.format(letter)))
    inside = [letter for letter, option in zip(letters, options, strict=False) if option.lower() in padded.lower()]
    if len(padded.split()) <= 5 or not inside:
        return ""
    return max(inside, key=lambda letter: padded.lower().rfind(options[LETTERS.index(letter)].lower()))


def read_first_character(text: str, options: Sequence[str]) -> str:
    """Read the first character, whatever it begins (SEED-Bench in lmms-eval: "Boats" is the option B)."""
    first = text.strip()[:1]
    return first if first in letters_of(options) else ""


def read_first_capital(text: str, options: Sequence[str]) -> str:
    """Read the first capital from A to E anywhere in the text.

    Source:
        VHM RSEvalKit, eval_results_multichoice: the "C" of "Cannot tell" is the option C. MME-RealWorld and Video-MME
        search likewise after taking off phrases such as "The answer is".
    """
    return next((character for character in text if character in "ABCDE"), "")


def read_video_mme(text: str, options: Sequence[str]) -> str:
    """Read the first capital from A to D after phrases such as "The best answer is" are taken off.

    Source:
        Video-MME, arXiv:2405.21075; lmms-eval videomme/utils.py extract_characters_regex.
    """
    for prefix in _PREFIXES:
        text = text.replace(prefix, "")
    return next((character for character in text if character in "ABCD"), "")


def read_xlrs(text: str, options: Sequence[str]) -> str:
    """Read every letter from A to E: the bracketed ones, else all, in lower case and inside words too.

    Source:
        XLRS-Bench-lite, lmms-eval task utils: its pattern for a letter between spaces has every part but the letter
        optional, so "Airport area" is read as A, B... whatever letters it has.
    """
    for prefix in (*_PREFIXES, "The best option is", "The correct option is", "Best answer:", "Best option:"):
        text = text.replace(prefix, "")
    if not re.search("[ABCDE]", text):
        return ""
    found = re.findall(r"\(([a-eA-E])\)", text) or re.findall(r"[a-eA-E]", text)
    return "".join(sorted({letter.upper() for letter in found}))


def read_letters(text: str, options: Sequence[str]) -> str:
    """Read every letter of an answer that may name several: "A, C", "The answers are (A) and (C)", "ACD"."""
    allowed = letters_of(options)
    listed = listed_letters(_LEAD_PHRASE.sub("", text.strip(), count=1), allowed) or listed_letters(text, allowed)
    bracketed = {letter.upper() for letter in _BRACKETED.findall(text)}
    if listed or not bracketed:
        return listed or read_strict(text, options)
    return "".join(sorted(bracketed)) if bracketed <= set(allowed) else ""


RULES: dict[str, Rule] = {
    "strict": read_strict,
    "letters": read_letters,
    "mmbench": read_mmbench,
    "mmmu": read_mmmu,
    "first_character": read_first_character,
    "first_capital": read_first_capital,
    "video_mme": read_video_mme,
    "xlrs": read_xlrs,
}
"""Ways to read the letters of an answer."""


def find_rule(name: str) -> Rule:
    """Return a rule for reading letters by name.

    Raises:
        ConfigError: If the name is unknown; close names are listed.
    """
    if name not in RULES:
        raise ConfigError(unknown_name_message("rule for choices", name, RULES))
    return RULES[name]
