"""Warnings about a whole file, and about what faulty variants count as right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.evaluation.score.faults import ScoreWarning

if TYPE_CHECKING:
    from geoprose.evaluation.layouts.files import FileNotes
    from geoprose.evaluation.score.intake import Counts
    from geoprose.evaluation.score.ledger import Ledger
    from geoprose.evaluation.score.sheet import JudgedType

_FILE_MESSAGES = {
    "missing": "{count} questions have no prediction; they count as wrong and stay in the denominator.",
    "unknown": "{count} rows have identifiers that the right answers do not know; they are left out.",
    "repeated": "{count} rows repeat an identifier with an equal answer; each question counts once.",
    "conflicting": "{count} rows repeat an identifier with another answer; one was kept, as --keep says.",
}


def file_warnings(notes: FileNotes, counts: Counts, not_finite: int, unnamed: int) -> list[ScoreWarning]:
    """Return what must be known about the file and its identifiers.

    Args:
        notes: What was odd while it was read.
        counts: What happened to its rows.
        not_finite: Rows with scores that are no finite numbers.
        unnamed: Scored rows without a picture.
    """
    found = [
        ScoreWarning(
            kind,
            text.format(count=getattr(counts, kind)),
            getattr(counts, kind),
            counts.rows,
            tuple(counts.examples.get(kind, ())),
        )
        for kind, text in _FILE_MESSAGES.items()
        if getattr(counts, kind)
    ]
    if notes.truncated_line:
        text = f"The file breaks off in record {notes.truncated_line}, which is left out; more may be missing."
        found.append(ScoreWarning("truncated", text, 1, counts.rows))
    if not_finite:
        text = f"{not_finite} rows have scores that are NaN or infinite; those entries are left out."
        found.append(ScoreWarning("not-finite", text, not_finite, counts.rows))
    if unnamed:
        text = (
            f"{unnamed} rows name no picture. Questions about one picture fail together, so intervals that take rows "
            "as independent are too narrow."
        )
        found.append(ScoreWarning("no-picture", text, unnamed, counts.rows))
    for name, count in counts.skipped_types.items():
        text = f"{count} rows are of the type {name!r}, which the task does not score; they are left out."
        found.append(ScoreWarning("skipped-type", text, count, counts.rows))
    return found


def textless_warnings(judged: JudgedType, textless: int) -> list[ScoreWarning]:
    """Say when right answers are boxes or masks and nothing scored: a task that compares words cannot read them.

    Args:
        judged: The question type.
        textless: Its items whose right answer is no text.
    """
    default = judged.judge.default
    if not textless or default.scores.any():
        return []
    text = f"{textless} right answers are boxes or masks and not words, and no answer scored. Is it the right task?"
    return [ScoreWarning("no-text", text, textless, len(default), (), judged.name)]


def variant_warnings(judged: JudgedType) -> list[ScoreWarning]:
    """Say how many answers each faulty variant judges otherwise than the default, where both say right or wrong."""
    judge, default = judged.judge, judged.judge.default
    found = []
    for variant in judge.variants[1:]:
        ledger = judge.ledgers.get(variant.name)
        if not variant.fault or ledger is None or not (_is_right_or_wrong(ledger) and _is_right_or_wrong(default)):
            continue
        more = int((ledger.scores > default.scores).sum())
        less = int((ledger.scores < default.scores).sum())
        if more or less:
            text = (
                f"The faulty variant {variant.name} calls {more} answers right that the default calls wrong, and "
                f"{less} the other way round. {variant.fault}"
            )
            found.append(ScoreWarning("faulty-variant", text, more + less, len(default), (), judged.name))
    return found


def _is_right_or_wrong(ledger: Ledger) -> bool:
    """Whether every score is 0 or 1: pooled figures are spread over the items and say nothing about one of them."""
    return bool(((ledger.scores == 0) | (ledger.scores == 1)).all())
