"""Numeric answers: how a number is read, how far it may be off, and how far it is off."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal

from geoprose.answers.normalise import normalise_answer
from geoprose.evaluation.metrics.base import Item, Judged, Judgement

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")
RELAXED = 0.05
Rule = Literal["tolerance", "relaxed", "mathvista"]


def read_number(text: str) -> float | None:
    """Return the only number of a text, "1,200" and number words up to twenty included; None for none or several.

    Equal numbers that are said twice are one number.
    """
    found = {float(number.replace(",", "")) for number in _NUMBER.findall(text)}
    if not found:
        found = {float(number) for number in _NUMBER.findall(normalise_answer(text))}
    return found.pop() if len(found) == 1 else None


def is_within(answer: float, truth: float, tolerance: float) -> bool:
    """Return whether ``answer`` is off by at most ``tolerance`` relative to ``truth``; a truth of 0 must be met."""
    return abs(answer - truth) <= tolerance * abs(truth) or math.isclose(answer, truth, rel_tol=1e-9, abs_tol=1e-12)


def to_float(text: str) -> float | None:
    """Return a text that is nothing but a number, "12%" as 0.12; None otherwise, for "nan" and "inf" too."""
    text = text.strip()
    try:
        number = float(text.rstrip("%")) / 100.0 if text.endswith("%") else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def relaxed_equal(answer: str, truth: str, tolerance: float = RELAXED) -> bool:
    """Return whether two texts are numbers within 5 %, or equal in lower case.

    Source:
        Masry et al., ChartQA, arXiv:2203.10244, section 5.1; Qwen-VL evaluate_vqa.py relaxed_correctness. A truth of 0
        is compared as text, so "0.0" for "0" is wrong.
    """
    number, target = to_float(answer), to_float(truth)
    if number is not None and target:
        return abs(number - target) / abs(target) <= tolerance
    return answer.strip().lower() == truth.strip().lower()


def mathvista_equal(answer: str, truth: str) -> bool:
    """Return whether two numbers are equal after rounding to the decimals of the truth (integers are cut, not rounded).

    Source:
        Lu et al., MathVista, arXiv:2310.02255; normalize_extracted_answer. Its first step, a language model that takes
        the answer out of the text, is replaced by :func:`read_number`.
    """
    number, target = read_number(answer), to_float(truth)
    if number is None or target is None:
        return False
    decimals = len(truth.strip().partition(".")[2])
    return int(number) == int(target) if decimals == 0 else f"{round(number, decimals)}" == f"{round(target, decimals)}"


class NumericAnswer:
    """1 when the number is right within the rule's tolerance; the errors themselves stand beside it.

    ``absolute_error`` and ``relative_error`` are means over the answers that have a number; ``with_number`` says what
    share that is, since leaving out the unreadable ones flatters a system that rarely answers.

    Args:
        rule: ``"tolerance"`` (relative, ``meta["tolerance"]`` or the given one), ``"relaxed"`` (ChartQA) or
            ``"mathvista"``.
        tolerance: Accepted relative error where the meta names none; 0 for equality.
    """

    name = "accuracy"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, rule: Rule = "tolerance", tolerance: float = 0.0) -> None:
        self._rule, self._tolerance = rule, tolerance

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item, then average the errors of those that have a number."""
        judgements = tuple(self._judge(item) for item in items)
        errors = [error for item in items if (error := _errors(item)) is not None]
        relative = [error for _, error in errors if error is not None]
        corpus = {"with_number": len(errors) / len(items)} if items else {}
        if errors:
            corpus["absolute_error"] = sum(absolute for absolute, _ in errors) / len(errors)
        if relative:
            corpus["relative_error"] = sum(relative) / len(relative)
        return Judged(judgements, corpus)

    def _judge(self, item: Item) -> Judgement:
        number, answer = read_number(item.prediction), item.prediction.strip()
        is_right = any(self._is_right(item, answer, number, truth) for truth in item.references)
        is_parsed = bool(answer) if self._rule == "relaxed" else number is not None
        label = answer.lower() if number is None else f"{number:g}"
        return Judgement(float(is_right), is_parsed or is_right, label)

    def _is_right(self, item: Item, answer: str, number: float | None, truth: str) -> bool:
        if self._rule == "relaxed":
            return relaxed_equal(answer, truth)
        if self._rule == "mathvista":
            return mathvista_equal(answer, truth)
        given = item.meta.get("tolerance")
        tolerance = float(given) if isinstance(given, int | float) and given >= 0 else self._tolerance
        target = read_number(truth)
        return number is not None and target is not None and is_within(number, target, tolerance)


def _errors(item: Item) -> tuple[float, float | None] | None:
    """Return the absolute and the relative error of an item against its first reference; None without numbers."""
    number = read_number(item.prediction)
    target = read_number(item.references[0]) if item.references else None
    if number is None or target is None:
        return None
    return abs(number - target), abs(number - target) / abs(target) if target else None
