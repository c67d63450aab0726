"""What a question of each benchmark is, whichever layout it lies in: the hub's tables or the authors' files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from geoprose.data.readers.choices import ask_choice, place_of, split_options
from geoprose.data.readers.general.unpack import listed
from geoprose.data.records import fail, items, strings, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.core.types import Sample
    from geoprose.data.readers.picture import Picture

PERCEPTION = ("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR")
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
"""Subtasks of MME; its score is a sum over each of the two lists."""

POPE_KINDS = ("random", "popular", "adversarial")
FORMULA_SET = "HME100k"
FORMULA = "Handwritten Mathematical Expression Recognition"
HIDDEN = ("", "?")
"""What stands for an answer that is not given out."""

SEED_TYPES = {
    1: "Scene Understanding", 2: "Instance Identity", 3: "Instance Attributes", 4: "Instance Location",
    5: "Instances Counting", 6: "Spatial Relation", 7: "Instance Interaction", 8: "Visual Reasoning",
    9: "Text Understanding", 10: "Action Recognition", 11: "Action Prediction", 12: "Procedure Understanding",
}  # fmt: skip
"""Question types of SEED-Bench by number, where the file does not name them."""

LETTER_ONLY = "Please answer directly with only the letter of the correct option and nothing else."
WORD_ONLY = "Please answer directly with a single word or number."
_CONTEXT_MARK = re.compile(r"<image (\d+)>")


def ask_mme(picture: Picture, fields: Mapping[str, Any], where: str, part: str) -> Sample:
    """Return a question of MME; the two questions of a picture share ``meta.group``.

    Raises:
        DataError: If the category is none of MME's, or the answer is neither yes nor no.
    """
    category = text(fields.get("category"), where, "category")
    if category not in (*PERCEPTION, *COGNITION):
        fail(where, f"{category!r} is no category of MME: {', '.join((*PERCEPTION, *COGNITION))}")
    kind = "perception" if category in PERCEPTION else "cognition"
    answer = yes_or_no(fields.get("answer"), where)
    asked = text(fields.get("question"), where, "question")
    group = picture.id if picture.id.startswith(f"{category}/") else f"{category}/{picture.id}"
    return picture.ask(kind, asked, [answer], part, category=category, group=group)


def ask_pope(picture: Picture, fields: Mapping[str, Any], where: str) -> Sample:
    """Return a question of POPE.

    Raises:
        DataError: If the kind of its negatives is unknown, or the answer is neither yes nor no.
    """
    kind = text(fields.get("category"), where, "category").strip().lower()
    if kind not in POPE_KINDS:
        fail(where, f"{kind!r} is none of {', '.join(POPE_KINDS)}")
    asked = text(fields.get("question"), where, "question")
    return picture.ask("pope", asked, [yes_or_no(fields.get("answer"), where)], negatives=kind)


def ask_ocrbench(picture: Picture, fields: Mapping[str, Any], where: str) -> Sample:
    """Return a question of OCRBench; several accepted texts stay several.

    Raises:
        DataError: If it has no answer.
    """
    written = fields.get("answer")
    answers = [written] if isinstance(written, str) else [*strings(written, where, "answer")]
    if not answers or any(not answer.strip() for answer in answers):
        fail(where, "has no answer, or an empty one")
    # Why not its question_type alone: OCRBench compares formulas by the data set they come from.
    is_formula = fields.get("dataset") == FORMULA_SET
    category = FORMULA if is_formula else text(fields.get("question_type"), where, "question_type")
    return picture.ask("ocr", text(fields.get("question"), where, "question"), answers, category=category)


def ask_realworldqa(picture: Picture, fields: Mapping[str, Any], where: str) -> Sample:
    """Return a question of RealWorldQA: ``choice``, ``number`` or ``word``.

    The sentence at its end that says how to answer is taken off; the task's prompt says it again.

    Raises:
        DataError: If it has no answer, or its letter is none of the options.
    """
    asked = text(fields.get("question"), where, "question").strip()
    for ending in (LETTER_ONLY, WORD_ONLY):
        asked = asked.removesuffix(ending).strip()
    answer = text(fields.get("answer"), where, "answer").strip() or fail(where, "has no answer")
    question, options = split_options(asked)
    if options and place_of(answer) >= 0:
        return ask_choice(picture, question, options, answer, where)
    is_number = re.fullmatch(r"-?\d+(\.\d+)?", answer) is not None
    return picture.ask("number" if is_number else "word", asked, [answer])


def ask_science_qa(picture: Picture, fields: Mapping[str, Any], where: str) -> Sample:
    """Return a question of ScienceQA, its hint before it as context.

    Raises:
        DataError: If the right answer is none of the choices.
    """
    asked, hint = text(fields.get("question"), where, "question"), str(fields.get("hint") or "").strip()
    question = f"Context: {hint}\n{asked}" if hint else asked
    options = strings(fields.get("choices"), where, "choices")
    category = str(fields.get("subject") or "") or None
    return ask_choice(picture, question, options, fields.get("answer"), where, category=category)


def ask_mathvista(picture: Picture, fields: Mapping[str, Any], where: str) -> Sample:
    """Return a question of MathVista: ``choice``, ``integer``, ``one_decimal``, ``two_decimals`` or ``list``.

    Raises:
        DataError: If it has no answer (those of the test split are hidden), or of an unknown type.
    """
    answer = str(fields.get("answer") or "").strip()
    if answer in HIDDEN:
        fail(where, "has no answer; MathVista hides those of its test split, use testmini")
    unit = str(fields.get("unit") or "").strip()
    asked = text(fields.get("question"), where, "question").strip() + (f" (Unit: {unit})" if unit else "")
    facts = fields.get("metadata")
    category = str(facts.get("task") or "") or None if isinstance(facts, dict) else None
    if fields.get("question_type") == "multi_choice":
        options = [option.strip() for option in strings(fields.get("choices"), where, "choices")]
        if answer not in options:
            fail(where, f"the answer {answer!r} is none of the choices")
        return ask_choice(picture, asked, options, options.index(answer), where, category=category)
    return picture.ask(_number_kind(fields, where), asked, [answer], category=category)


def ask_seed(picture: Picture, fields: Mapping[str, Any], where: str, category: str) -> Sample:
    """Return a question of SEED-Bench.

    Raises:
        DataError: If one of the four options is missing.
    """
    asked = text(fields.get("question"), where, "question")
    options = [text(fields.get(f"choice_{letter}"), where, f"choice_{letter}") for letter in "abcd"]
    return ask_choice(picture, asked, options, fields.get("answer"), where, category=category)


def mmmu_pictures(asked: str, options: list[str]) -> tuple[list[int], str, list[str]]:
    """Return which of MMMU's pictures a question names, and its words with the marks counted from 1.

    A question that names none shows the first. The words keep ``<image 1>``: pictures stand before the question, and
    these names say which is meant.
    """
    named = sorted({int(number) for number in _CONTEXT_MARK.findall("\n".join([asked, *options]))}) or [1]
    places = {number: place for place, number in enumerate(named, start=1)}

    def renumbered(words: str) -> str:
        return _CONTEXT_MARK.sub(lambda match: f"<image {places[int(match.group(1))]}>", words)

    return named, renumbered(asked), [renumbered(option) for option in options]


def ask_mmmu(picture: Picture, fields: Mapping[str, Any], question: str, options: list[str], where: str) -> Sample:
    """Return a question of MMMU: ``choice`` or ``open``.

    Raises:
        DataError: If it has no answer; those of the test split are hidden.
    """
    answer = text(fields.get("answer"), where, "answer").strip()
    if answer in HIDDEN:
        fail(where, "has no answer; MMMU hides those of its test split, use validation")
    subject = re.fullmatch(r"[a-z]+_(.+)_\d+", picture.id)
    category = subject.group(1) if subject else None
    if fields.get("question_type") == "multiple-choice":
        return ask_choice(picture, question, options, answer, where, category=category)
    return picture.ask("open", question, listed(answer, where), category=category)


def yes_or_no(value: Any, where: str) -> str:
    """Return ``"yes"`` or ``"no"``.

    Raises:
        DataError: If it is neither.
    """
    answer = text(value, where, "answer").strip().rstrip(".").lower()
    if answer not in ("yes", "no"):
        fail(where, f"the answer {answer!r} is neither yes nor no")
    return answer


def _number_kind(fields: Mapping[str, Any], where: str) -> str:
    kind, precision = fields.get("answer_type"), fields.get("precision")
    if kind in ("integer", "list"):
        return str(kind)
    if kind == "float" and precision in (1, 2):
        return "one_decimal" if precision == 1 else "two_decimals"
    fail(where, f"an answer of type {kind!r} with precision {precision!r} is none of MathVista's")


def seed_names(document: Mapping[str, Any], where: str) -> dict[int | str, str]:
    """Return the names of SEED-Bench's question types by number.

    Raises:
        DataError: If they are not there.
    """
    names = document.get("question_type")
    if not isinstance(names, dict) or not all(isinstance(number, int) for number in names.values()):
        fail(where, "lacks question_type, the numbers of the question types by name")
    return {number: name for name, number in names.items()}


def as_pictures(value: Any, where: str, key: str) -> list[Any]:
    """Return a picture, or a list of pictures, as a list."""
    return items(value, where, key) if isinstance(value, list) else [value]
