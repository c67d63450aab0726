"""Verdicts of a judge on free answers: read from a file, never asked for here.

VRSBench's published VQA figures are the verdicts of GPT-4o-mini. geoprose calls no service: whoever has a judge's
verdicts passes them as a file, and the figure says that it is a judge's.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from geoprose.core.errors import TaskError
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.labels.normalise_published import lower_strip
from geoprose.evaluation.metrics.unavailable import no_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ID_KEYS = ("id", "question_id")
VERDICT_KEYS = ("verdict", "correct", "score")
JUDGED_BY_RULE = frozenset({"yes", "no", *(str(number) for number in range(100))})
"""References that VRSBench's notebook compares without its judge."""
NO_VERDICTS = "needs the verdicts of a judge: meta.verdict of each sample, or a CSV or JSONL of id and verdict"
_WORDS = {"1": 1.0, "0": 0.0, "true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "match": 1.0, "mismatch": 0.0}


def parse_verdict(value: object) -> float | None:
    """Return a verdict as a number from 0 to 1, or None where it is none (``"2"``, ``"maybe"``, NaN)."""
    text = str(value).strip().lower()
    if text in _WORDS:
        return _WORDS[text]
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def read_verdicts(path: str | Path) -> dict[str, float | None]:
    """Read a judge's verdicts: CSV or JSONL rows with ``id`` (or ``question_id``) and ``verdict`` (or ``correct``).

    Raises:
        TaskError: If the file is missing, a row lacks one of the two, or an id has two verdicts.
    """
    path = Path(path)
    if not path.is_file():
        raise TaskError(f"{path} does not exist, so there are no verdicts to read. Give a CSV or JSONL file.")
    verdicts: dict[str, float | None] = {}
    for number, row in _rows(path):
        key = next((row[name] for name in ID_KEYS if row.get(name) not in (None, "")), None)
        name = next((name for name in VERDICT_KEYS if name in row), None)
        if key is None or name is None:
            raise TaskError(
                f"{path.name} row {number} has no id or no verdict; it has {', '.join(map(str, row))}. "
                f"Name the columns {ID_KEYS[0]} and {VERDICT_KEYS[0]}."
            )
        if str(key) in verdicts and verdicts[str(key)] != parse_verdict(row[name]):
            raise TaskError(f"{path.name} row {number} gives {key} a second, different verdict. Keep one.")
        verdicts[str(key)] = parse_verdict(row[name])
    return verdicts


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix.lower() == ".csv":
            yield from enumerate(csv.DictReader(file), start=2)
            return
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise TaskError(f"{path.name} line {number} is not JSON: {error}. Write one object a line.") from error
            if not isinstance(row, dict):
                raise TaskError(f"{path.name} line {number} is not an object. Write one object a line.")
            yield number, row


class JudgeVerdicts:
    """The verdicts of a judge (a language model or a person) that were written beforehand; none is asked here.

    An item's verdict is its row in ``path``, else ``meta["verdict"]``. An item without a verdict scores 0, stays in the
    denominator and is counted.

    Args:
        path: CSV or JSONL of verdicts (:func:`read_verdicts`).
        rule: ``"vrsbench"`` lets the notebook's rules decide first: right when the reference is inside the answer,
            wrong when it is yes, no or a number below 100 and is not; empty for the judge alone.
    """

    name = "judge accuracy"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, path: str | Path = "", rule: str = "") -> None:
        self._verdicts = read_verdicts(path) if path else {}
        self._rule = rule

    def judge(self, items: Sequence[Item]) -> Judged:
        """Look up the verdict of each item, or say that there is none."""
        ruled = [self._rule_on(item) for item in items]
        verdicts = [
            decided if decided is not None else self._verdict(item) for item, decided in zip(items, ruled, strict=True)
        ]
        missing = sum(verdict is None for verdict in verdicts)
        if missing and missing == sum(decided is None for decided in ruled):
            return no_score(items, NO_VERDICTS)
        judgements = tuple(
            Judgement(verdict or 0.0, verdict is not None, lower_strip(item.prediction))
            for item, verdict in zip(items, verdicts, strict=True)
        )
        return Judged(judgements, {"num_missing_verdicts": float(missing)})

    def _verdict(self, item: Item) -> float | None:
        return self._verdicts.get(item.id, parse_verdict(item.meta.get("verdict")))

    def _rule_on(self, item: Item) -> float | None:
        if self._rule != "vrsbench" or not item.references:
            return None
        truth, answer = item.references[0].lower(), item.prediction.lower()
        if truth in answer:
            return 1.0
        return 0.0 if truth in JUDGED_BY_RULE else None
