"""The spellings that published scripts compare, by name, beside the default of geoprose.

A variant of a protocol names one of them; none of them is ever applied on its own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from geoprose.answers.normalise import normalise_answer
from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message

if TYPE_CHECKING:
    from collections.abc import Callable

_VQA_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_VQA_DIGITS = {"none": "0", **{word: str(number) for number, word in enumerate(_VQA_NUMBERS)}}
_VQA_ARTICLES = frozenset({"a", "an", "the"})
_VQA_PUNCTUATION = tuple(';/[]"{}()=+\\_-><@`,?!')
_NUMBER_COMMA = re.compile(r"\d,+\d")
# Source: vqaEval.py; its look-behind is misspelt, so a point is kept only before a digit.
_POINT = re.compile(r"\.(?!\d)")
_CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd
    he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't
    needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll
    somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd
    there'd've there're there's they'd they'd've they'll they're they've 'twas we'd've we've weren't what'll
    what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's
    won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""


def _without_apostrophes(word: str) -> list[str]:
    """Return every spelling of ``word`` that lacks one or more of its apostrophes."""
    parts = word.split("'")
    joined = (
        "".join(part + mark for part, mark in zip(parts, (*marks, ""), strict=True))
        for marks in product(("", "'"), repeat=len(parts) - 1)
    )
    return [spelling for spelling in joined if spelling != word]


_CONTRACTIONS = {spelling: word for word in _CONTRACTED.split() for spelling in _without_apostrophes(word)}


def normalise_vqa(text: str) -> str:
    """Return the spelling that the VQA accuracy compares: signs out, number words as digits, apostrophes put back.

    Source:
        Antol et al., VQA, arXiv:1505.00468; vqaEval.py of GT-Vision-Lab/VQA, in the form of the M4C evaluator that
        LLaVA and LHRS-Bot use (lower case first; the apostrophe is kept).
    """
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").replace("\n", " ").replace("\t", " ")
    text = text.strip()
    out = text
    for sign in _VQA_PUNCTUATION:
        stands_free = f"{sign} " in text or f" {sign}" in text or _NUMBER_COMMA.search(text)
        out = out.replace(sign, "" if stands_free else " ")
    words = (_VQA_DIGITS.get(word, word) for word in _POINT.sub("", out).split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _VQA_ARTICLES)


def normalise_geochat(text: str) -> str:
    """Return ``text`` without spaces and full stops, in lower case.

    Source:
        GeoChat, scene classification: the answer without spaces and "." is compared with the folder's name.
    """
    return "".join(text.split()).replace(".", "").lower()


def remove_spaces(text: str) -> str:
    """Return ``text`` in lower case without spaces.

    Source:
        VHM RSEvalKit, eval_results_cls_vqa; EarthDial, rs_recall.py.
    """
    return "".join(text.split()).lower()


def lower_strip(text: str) -> str:
    """Return ``text`` in lower case without outer white space (lmms-eval, LRS-VQA)."""
    return text.strip().lower()


def lower_strip_point(text: str) -> str:
    """Return ``text`` in lower case without outer white space and closing full stops (lmms-eval, RealWorldQA)."""
    return text.lower().strip().rstrip(".")


def leave(text: str) -> str:
    """Return ``text`` as it is."""
    return text


NORMALISERS: dict[str, Callable[[str], str]] = {
    "geoprose": normalise_answer,
    "vqa": normalise_vqa,
    "geochat": normalise_geochat,
    "no_spaces": remove_spaces,
    "lower": lower_strip,
    "lower_no_point": lower_strip_point,
    "none": leave,
}
"""Ways to spell an answer before it is compared, by the name that a variant's options give."""


def find_normaliser(name: str) -> Callable[[str], str]:
    """Return the normaliser of this name; it remembers recent answers, since short ones repeat a thousandfold.

    Raises:
        ConfigError: If the name is unknown; close names are listed.
    """
    if name not in NORMALISERS:
        raise ConfigError(unknown_name_message("normaliser", name, NORMALISERS))
    return lru_cache(maxsize=8192)(NORMALISERS[name])


def squash(text: str) -> str:
    """Return ``text`` in lower case with letters and digits only: equal for every spelling of one class name."""
    return re.sub(r"[\W_]+", "", text.lower())
