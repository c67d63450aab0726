"""Choose the examples that the page shows: what could not be read first, then what is wrong, then what is right.

The choice is spread evenly over the test set and is the same on every run. Predictions are read line by line, so a file
of a million answers costs no more memory than the examples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.report.pictures import PictureBudget, Thumbnail, outlines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from geoprose.evaluation.report.files import RunFiles, ScoreRow

STATES = ("unparsed", "wrong", "right")
PER_RIGHT = {"unparsed": 2, "wrong": 3, "right": 1}
"""Examples of each state for every right one; the task says how many right ones (``examples_per_type``)."""
MAX_CARDS = 200
MAX_TEXT = 700
MAX_IMAGES = 4
OTHERS = ("shuffled", "blind", "previous", "colour", "probe")
"""Baselines whose answers stand beside the system's."""
NUM_UNPARSED_TEXTS = 12


@dataclass(frozen=True)
class Card:
    """One example.

    Attributes:
        id: Sample id.
        type: Question type.
        state: ``unparsed``, ``wrong`` or ``right``; of a score that is no share, the half below its mean is ``wrong``.
        question: The prompt.
        answer: Raw answer of the system.
        reference: The right answer.
        score: Score of the sample.
        pictures: Thumbnails, with boxes on the first.
        others: Answers of baselines.
        hidden_images: Pictures beyond the first few.
    """

    id: str
    type: str
    state: str
    question: str
    answer: str
    reference: str
    score: float
    pictures: tuple[Thumbnail, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    hidden_images: int = 0


@dataclass(frozen=True)
class Gallery:
    """The examples of a page, failures first within each type.

    Attributes:
        cards: The examples.
        totals: How many samples each (type, state) has.
        shown: How many of them are shown.
        unparsed: The most frequent texts that could not be read: type, text, count.
        num_pictures_refused: Pictures that could not be shown or were beyond the limit.
    """

    cards: tuple[Card, ...] = ()
    totals: Mapping[tuple[str, str], int] = field(default_factory=dict)
    shown: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unparsed: tuple[tuple[str, str, int], ...] = ()
    num_pictures_refused: int = 0

    def count(self, state: str) -> int:
        """Return how many samples have a state."""
        return sum(count for (_, own), count in self.totals.items() if own == state)


def build_gallery(files: RunFiles, drawings: Mapping[str, Mapping[str, Any]]) -> Gallery:
    """Choose examples of a run and read what they need from its files."""
    states = _states(files)
    totals: Counter[tuple[str, str]] = Counter(
        (row.task, state) for row, state in zip(files.scores, states, strict=True)
    )
    chosen = _choose(files, states, totals)
    unread = {row.id for row in files.scores if not row.is_parsed}
    rows, texts = _read_predictions(files, set(chosen), unread)
    others = {source: _answers(files, source, set(chosen)) for source in files.sources if source in OTHERS}
    budget = PictureBudget(files.data_dir)
    reading = _reading(files)
    cards = tuple(
        replace(
            _card(row, state, rows[row.id], (drawings.get(row.id, {}), reading), budget),
            others={source: answers[row.id] for source, answers in others.items() if row.id in answers},
        )
        for row, state in chosen.values()
        if row.id in rows
    )
    shown = Counter((card.type, card.state) for card in cards)
    return Gallery(cards, totals, shown, texts, budget.num_refused)


def _states(files: RunFiles) -> list[str]:
    """Return the state of each sample; a score on another scale than 0..1 is compared with its type's mean."""
    cuts: dict[str, float] = {}
    for name, block in files.result.get("by_type", {}).items():
        is_share = block.get("accuracy") is not None
        cuts[name] = 1.0 if is_share and _is_all_or_nothing(files.scores, name) else max(block.get("score", 0), 1e-9)
    return [
        "unparsed" if not row.is_parsed else "right" if row.score >= cuts.get(row.task, 1.0) else "wrong"
        for row in files.scores
    ]


def _is_all_or_nothing(scores: Sequence[ScoreRow], name: str) -> bool:
    return all(row.score in (0.0, 1.0) for row in scores if row.task == name)


def _choose(
    files: RunFiles, states: Sequence[str], totals: Mapping[tuple[str, str], int]
) -> dict[str, tuple[ScoreRow, str]]:
    """Return the chosen samples by id: types in the order of the result, failures first."""
    by_group: dict[tuple[str, str], list[ScoreRow]] = defaultdict(list)
    for row, state in zip(files.scores, states, strict=True):
        by_group[row.task, state].append(row)
    per_right = int(files.run.get("task", {}).get("examples_per_type", 3))
    types = list(dict.fromkeys([*files.result.get("by_type", {}), *(name for name, _ in totals)]))
    quota = {state: per_right * times for state, times in PER_RIGHT.items()}
    wanted = max(len(types), 1) * sum(quota.values())
    if wanted > MAX_CARDS:
        quota = {state: max(1, count * MAX_CARDS // wanted) for state, count in quota.items()}
    chosen: dict[str, tuple[ScoreRow, str]] = {}
    for name in types:
        for state in STATES:
            # Of graded answers the worst come first; sorting is stable, so equal scores keep the order of the data.
            rows = sorted(by_group[name, state], key=lambda row: row.score)
            chosen.update({row.id: (row, state) for row in _spread(rows, quota[state])})
    return dict(list(chosen.items())[: 2 * MAX_CARDS])


def _spread(rows: Sequence[ScoreRow], count: int) -> list[ScoreRow]:
    if len(rows) <= count:
        return list(rows)
    return [rows[round(step * (len(rows) - 1) / max(count - 1, 1))] for step in range(count)]


def _read_predictions(
    files: RunFiles, wanted: set[str], unread: set[str]
) -> tuple[dict[str, Mapping[str, Any]], tuple[tuple[str, str, int], ...]]:
    rows: dict[str, Mapping[str, Any]] = {}
    texts: Counter[tuple[str, str]] = Counter()
    for row in files.predictions():
        if row["id"] in wanted:
            rows[row["id"]] = row
        if row["id"] in unread:
            texts[str(row.get("task", "")), _cut(str(row.get("prediction", "")), 200)] += 1
    ranked = sorted(texts.items(), key=lambda item: (-item[1], item[0]))[:NUM_UNPARSED_TEXTS]
    return rows, tuple((name, text, count) for (name, text), count in ranked)


def _answers(files: RunFiles, source: str, wanted: Iterable[str]) -> dict[str, str]:
    kept = set(wanted)
    return {row["id"]: _cut(str(row.get("prediction", ""))) for row in files.predictions(source) if row["id"] in kept}


def _reading(files: RunFiles) -> dict[str, Any]:
    """Return how the system and the references write boxes."""
    system = files.result.get("system", {})
    system = system if isinstance(system, dict) else {}
    resize = system.get("resize") or {}
    return {
        "codec": system.get("box_codec"),
        "mode": resize.get("mode"),
        "model_px": resize.get("size_px"),
        "reference_codec": files.run.get("task", {}).get("box_codec"),
    }


def _card(
    scored: ScoreRow,
    state: str,
    row: Mapping[str, Any],
    drawn: tuple[Mapping[str, Any], Mapping[str, Any]],
    budget: PictureBudget,
) -> Card:
    answer, reference = str(row.get("prediction", "")), str(row.get("reference", ""))
    images = [str(image) for image in row.get("images", ())]
    pictures = [budget.thumbnail(image) for image in images[:MAX_IMAGES]]
    if pictures and pictures[0].uri:
        first = pictures[0]
        polygons = outlines(answer, reference, *drawn, (first.width_px, first.height_px))
        pictures[0] = replace(first, polygons=polygons)
    return Card(
        scored.id,
        scored.task,
        state,
        _cut(str(row.get("prompt", ""))),
        _cut(answer),
        _cut(reference),
        scored.score,
        tuple(pictures),
        {},
        max(0, len(images) - MAX_IMAGES),
    )


def _cut(text: str, length: int = MAX_TEXT) -> str:
    return text if len(text) <= length else f"{text[:length]} ... ({len(text)} characters)"
