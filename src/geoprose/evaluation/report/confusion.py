"""Confusion matrices as tables, and the pairs that are mistaken most often."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from geoprose.evaluation.report.files import ScoreRow

MAX_CLASSES = 40
MAX_SHOWN_LABELS = 60
NUM_MISTAKES = 10
OTHER = "(other answer)"
SUMMARY_KEYS = (("oa", "OA"), ("aa", "AA"), ("kappa", "kappa"), ("macro_f1", "macro F1"))


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix ready to be shown.

    Attributes:
        title: Question type.
        labels: Heads of the columns.
        rows: Per right answer: its name, its n, and per column (count, share of the row 0..1).
        mistakes: The most frequent wrong pairs: right answer, answer given, count.
        summary: OA, AA, kappa, macro F1 as name and value, where they are known.
        left_out: Classes not shown.
    """

    title: str
    labels: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[tuple[int, float], ...]], ...]
    mistakes: tuple[tuple[str, str, int], ...]
    summary: tuple[tuple[str, float], ...] = ()
    left_out: int = 0


def confusions(by_type: Mapping[str, Mapping[str, Any]], scores: Iterable[ScoreRow]) -> list[Confusion]:
    """Return a matrix for every question type that has one right label per sample.

    ``confusion`` of the type's block is used where it is there; else the pairs of ``scores``.
    """
    counted = _pairs(scores)
    found = []
    for name, block in by_type.items():
        given = block.get("confusion")
        pairs = _from_block(given) if given else counted.get(name, Counter())
        truths = {truth for truth, _ in pairs}
        if len(truths) < 2 or (not given and len(truths) > MAX_SHOWN_LABELS):
            continue
        summary = tuple((shown, float(block[key])) for key, shown in SUMMARY_KEYS if block.get(key) is not None)
        found.append(_matrix(name, pairs, summary))
    return found


def _pairs(scores: Iterable[ScoreRow]) -> dict[str, Counter[tuple[str, str]]]:
    found: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for row in scores:
        if row.truth:
            found[row.task][row.truth, row.label if row.is_parsed else OTHER] += 1
    return found


def _from_block(block: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    labels, pairs = [str(label) for label in block.get("labels", ())], Counter[tuple[str, str]]()
    for truth, counts in zip(labels, block.get("counts", ()), strict=False):
        for label, count in zip(labels, counts, strict=False):
            if count:
                pairs[truth, label] += int(count)
    return pairs


def _matrix(title: str, pairs: Counter[tuple[str, str]], summary: tuple[tuple[str, float], ...]) -> Confusion:
    sizes: Counter[str] = Counter()
    for (truth, _), count in pairs.items():
        sizes[truth] += count
    chosen = sorted(name for name, _ in sizes.most_common(MAX_CLASSES))
    place = {name: number for number, name in enumerate(chosen)}
    counts = {name: [0] * (len(chosen) + 1) for name in chosen}
    for (truth, label), count in pairs.items():
        if truth in counts:
            counts[truth][place.get(label, len(chosen))] += count
    has_other = any(own[-1] for own in counts.values())
    columns = (*chosen, OTHER) if has_other else tuple(chosen)
    rows = tuple(
        (name, sizes[name], tuple((count, count / sizes[name]) for count in own[: len(columns)]))
        for name, own in counts.items()
    )
    wrong = Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:NUM_MISTAKES]
    mistakes = tuple((truth, label or "(nothing)", count) for (truth, label), count in ranked)
    return Confusion(title, columns, rows, mistakes, summary, len(sizes) - len(chosen))
