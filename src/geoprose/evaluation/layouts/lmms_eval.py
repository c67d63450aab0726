"""lmms-eval's logged samples: ``*_samples_TASK.jsonl``, and the older ``TASK.json`` with ``logs``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import first_of, nested, text, texts


def _read(record: Record) -> PredictionRow:
    found = record.get("doc")
    doc: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    media = record.get("input_media")
    media_name = media[0] if isinstance(media, list) and media else ""
    options = _options(doc)
    scored = _likelihoods(record)
    meta: dict[str, Any] = {}
    if options:
        meta["options"] = options
    names = options if len(options) == len(scored) else [str(place) for place in range(len(scored))]
    references = _target(record.get("target"), doc)
    if scored and len(references) == 1 and references[0].isdigit() and int(references[0]) < len(scored):
        place = int(references[0])
        references = (names[place],)
        if options:
            meta["answer_index"] = place
    return PredictionRow(
        id=text(record["doc_id"]),
        prediction=_likeliest(scored, names) if scored else _written(record["filtered_resps"]),
        references=references,
        type=text(first_of(doc, "question_type", "type")),
        image=text(first_of(doc, "image_id", "image_path", "image_name")) or text(media_name),
        prompt=text(first_of(record, "input") or first_of(doc, "question")),
        meta=meta,
        scores=dict(zip(names, scored, strict=True)),
    )


def _written(answers: Any) -> str:
    """Return the answer of a task that generates: a text, or the only one of a list (older releases)."""
    if isinstance(answers, list) and len(answers) > 1:
        raise ValueError(
            f"{len(answers)} answers to one question (rounds, or repeats); score reads one answer a question, so keep "
            "the one that counts in filtered_resps"
        )
    return text(answers[0] if isinstance(answers, list) and answers else answers)


def _likelihoods(record: Record) -> list[float]:
    """Return the log-likelihood of each option, or nothing for a task that generates.

    A pair is a number and whether greedy decoding writes the option. Most adapters of lmms-eval return the loss, which
    is never negative, and lm-eval's the log-likelihood, which is never positive; so the signs tell which it is.
    """
    pairs = record["filtered_resps"]
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        return []
    values = [float(pair[0]) for pair in pairs]
    if "acc_mutual_info" in record:  # every second one is the option without its question
        values = values[::2]
    known = [value for value in values if not math.isnan(value)]
    if min(known, default=0.0) < 0 < max(known, default=0.0):
        raise ValueError("scores of both signs: neither losses nor log-likelihoods")
    return [-value for value in values] if max(known, default=0.0) > 0 else values


def _is_pair(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or str(value[1]) not in ("True", "False"):
        return False
    try:
        float(value[0])
    except (TypeError, ValueError):
        return False
    return True


def _likeliest(scores: Sequence[float], names: Sequence[str]) -> str:
    known = [place for place, score in enumerate(scores) if not math.isnan(score)]
    return names[max(known, key=lambda place: scores[place])] if known else ""


def _options(doc: Mapping[str, Any]) -> list[str]:
    found = nested(first_of(doc, "options", "choices"))
    return [text(option) for option in found] if isinstance(found, list) else []


def _target(value: Any, doc: Mapping[str, Any]) -> tuple[str, ...]:
    """The tracker writes ``str(target)``, so a list comes as its Python spelling; some tasks leave it empty."""
    if isinstance(value, float) and math.isnan(value):
        return ()
    found = texts(nested(value))
    return found or texts(first_of(doc, "answer", "answers"))


LMMS_EVAL = Layout(
    name="lmms-eval",
    title="lmms-eval logged samples (JSONL, or JSON with logs)",
    source="EvolvingLMMs-Lab/lmms-eval 0.7.3 lmms_eval/loggers/evaluation_tracker.py, evaluator.py",
    keys=(
        frozenset({"doc_id", "filtered_resps"}),
        frozenset({"doc_id", "filtered_resps", "target"}),
        frozenset({"doc_id", "filtered_resps", "target", "doc_hash"}),
    ),
    read=_read,
)
