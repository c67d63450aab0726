"""VLMEvalKit's prediction tables: multiple choice, yes/no, open questions."""

from __future__ import annotations

import string
from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import first_of, text

CIRCULAR_STEP = 1_000_000
"""MMBench numbers the rotated orders of question i as i + 1000000 k."""


def _read(record: Record) -> PredictionRow:
    index = text(record["index"])
    meta: dict[str, Any] = {}
    options = _options(record)
    answer = text(record.get("answer"))
    if options:
        meta["options"] = options
        if len(answer) == 1 and answer.upper() in string.ascii_uppercase[: len(options)]:
            meta["answer_index"] = string.ascii_uppercase.index(answer.upper())
    if text(record.get("category")):
        meta["category"] = text(record["category"])
    if options and index.isdigit():
        meta["group"] = str(int(index) % CIRCULAR_STEP)
    references = [answer, options[meta["answer_index"]]] if "answer_index" in meta else [answer] if answer else []
    return PredictionRow(
        id=index,
        prediction=text(record["prediction"]),
        references=tuple(references),
        image=_short(text(first_of(record, "image_path", "image"))),
        prompt=text(record.get("question")),
        meta=meta,
    )


def _options(record: Record) -> list[str]:
    options = []
    for letter in string.ascii_uppercase:
        option = text(record.get(letter))
        if not option:
            break
        options.append(option)
    return options


def _short(image: str) -> str:
    """Tables may carry the whole picture in base64; its ends are enough to tell pictures apart."""
    return image if len(image) <= 300 else f"{image[:32]}...{image[-96:]}"


VLMEVALKIT = Layout(
    name="vlmevalkit",
    title="VLMEvalKit predictions (xlsx, tsv, csv)",
    source="open-compass/VLMEvalKit vlmeval/inference.py; RSEvalKit utils/data_util.py reads the same columns",
    keys=(
        frozenset({"index", "prediction", "question"}),
        frozenset({"index", "prediction", "question", "answer"}),
        frozenset({"index", "prediction", "question", "answer", "A", "B"}),
    ),
    read=_read,
)
