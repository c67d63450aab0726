"""VLMEvalKit's prediction tables: multiple choice, yes/no, open questions, videos."""

from __future__ import annotations

import string
from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import first_of, nested, text

CIRCULAR_STEP = 1_000_000
"""MMBench numbers the rotated orders of question i as i + 1000000 k."""

FAILURES = ("Failed to obtain answer", "Chat Mode: Failed with all possible")
"""What the kit writes in place of an answer when the model raised an error; it counts as unparsable."""

_POPE = frozenset({"random", "popular", "adversarial"})
_DURATIONS = frozenset({"short", "medium", "long"})


def _read(record: Record) -> PredictionRow:
    index = text(record["index"])
    options = _options(record)
    answer = text(record.get("answer"))
    meta = _meta(record, index, answer, options)
    references = [answer, options[meta["answer_index"]]] if "answer_index" in meta else [answer] if answer else []
    prediction = text(record["prediction"])
    return PredictionRow(
        id=index,
        prediction="" if prediction.startswith(FAILURES) else prediction,
        references=tuple(references),
        image=_short(text(first_of(record, "image_path", "image", "video"))),
        prompt=text(record.get("question")),
        meta=meta,
    )


def _meta(record: Record, index: str, answer: str, options: list[str]) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if options:
        meta["options"] = options
        if len(answer) == 1 and answer.upper() in string.ascii_uppercase[: len(options)]:
            meta["answer_index"] = string.ascii_uppercase.index(answer.upper())
    category = text(record.get("category"))
    if category:
        meta["category"] = category
    if category in _POPE:
        meta["negatives"] = category
    if text(record.get("domain")):
        meta["domain"] = text(record["domain"])
    if text(record.get("duration")) in _DURATIONS:
        meta["duration_group"] = text(record["duration"])
    group = _group(record, index, answer, bool(options))
    return meta | {"group": group} if group else meta


def _group(record: Record, index: str, answer: str, has_options: bool) -> str:
    """Return what joins questions: the circular orders of one, or the two about a picture of one category (MME)."""
    if has_options and text(record.get("g_index")):
        return text(record["g_index"])
    if has_options:
        return str(int(index) % CIRCULAR_STEP) if index.isdigit() else ""
    picture = text(record.get("image_path"))
    return f"{text(record.get('category'))}/{picture}" if picture and answer.lower() in ("yes", "no") else ""


def _options(record: Record) -> list[str]:
    """Return the options: one column a letter, or ``candidates``, a list whose entries begin with their letters."""
    listed = nested(record.get("candidates"))
    if isinstance(listed, list):
        return [_unlettered(text(option), place) for place, option in enumerate(listed)]
    options = []
    for letter in string.ascii_uppercase:
        option = text(record.get(letter))
        if not option:
            break
        options.append(option)
    return options


def _unlettered(option: str, place: int) -> str:
    letter = string.ascii_uppercase[place] if place < len(string.ascii_uppercase) else ""
    for start in (f"({letter})", f"{letter}.", f"{letter})"):
        if letter and option.startswith(start):
            return option.removeprefix(start).strip()
    return option


def _short(image: str) -> str:
    """Tables may carry the whole picture in base64; its ends are enough to tell pictures apart."""
    return image if len(image) <= 300 else f"{image[:32]}...{image[-96:]}"


VLMEVALKIT = Layout(
    name="vlmevalkit",
    title="VLMEvalKit predictions (xlsx, tsv, csv, json)",
    source="open-compass/VLMEvalKit e8e78f0 vlmeval/inference.py, dataset/{image_mcq,image_yorn,videomme}.py",
    keys=(
        frozenset({"index", "prediction", "question"}),
        frozenset({"index", "prediction", "question", "answer"}),
        frozenset({"index", "prediction", "question", "answer", "A", "B"}),
        frozenset({"index", "prediction", "question", "answer", "candidates"}),
    ),
    read=_read,
)
