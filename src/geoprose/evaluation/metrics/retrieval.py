"""Image-text retrieval: recall at k with ties and duplicates said, never hidden in a sort order.

One item is one query. ``scores`` holds the similarity of the best candidates and of every relevant one;
``prediction`` is the ranking as the system wrote it, a JSON list of ids. ``meta["answers"]`` lists every relevant
candidate, duplicates of equal content included; ``meta["captions_of"]`` is the picture the query belongs to.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import TYPE_CHECKING, Literal

from geoprose.evaluation.metrics.base import Item, Judged, Judgement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

KS = (1, 5, 10)
TIE_TOLERANCE = 1e-6
"""Cosine similarities in float32 of the same two texts differ by less, whatever else was in their batches."""
CAPTION_MARK = "#"
"""A caption's id is its picture's id, this mark and its number."""
Ties = Literal["expected", "worst", "best", "listed"]
Relevance = Literal["own", "duplicates"]


@dataclass(frozen=True)
class Standing:
    """Where the relevant candidates of one query stand.

    Attributes:
        better: Candidates with a higher score than the best relevant one.
        tied: Candidates that share its score, itself included.
        relevant: Relevant ones among the tied.
    """

    better: int
    tied: int
    relevant: int

    def recall(self, k: int, ties: Ties = "expected") -> float:
        """Return the chance that a relevant candidate is among the first ``k``.

        Args:
            k: Length of the list.
            ties: Order within a tie: random (``"expected"``), relevant ones last (``"worst"``) or first (``"best"``).
        """
        if ties == "worst":
            return float(self.better + self.tied - self.relevant < k)
        if ties == "best":
            return float(self.better < k)
        places = min(max(k - self.better, 0), self.tied)
        return 1.0 - comb(self.tied - self.relevant, places) / comb(self.tied, places)

    def rank(self, ties: Ties = "expected") -> float:
        """Return the rank of the first relevant candidate, from 1; its mean over orders of the tie if expected."""
        if ties == "worst":
            return float(self.better + self.tied - self.relevant + 1)
        if ties == "best":
            return float(self.better + 1)
        return self.better + (self.tied + 1) / (self.relevant + 1)


def standing_of(
    scores: Mapping[str, float], relevant: Collection[str], tolerance: float = TIE_TOLERANCE
) -> Standing | None:
    """Return where the best relevant candidate stands; None when none of them has a score or it is not a number.

    Scores that differ by at most ``tolerance`` are equal: one text in two batches differs in its last bits.
    """
    own = [scores[name] for name in relevant if name in scores and scores[name] == scores[name]]
    if not own:
        return None
    best = max(own)
    better = sum(score > best + tolerance for score in scores.values())
    tied = [name for name, score in scores.items() if abs(score - best) <= tolerance]
    known = set(relevant)
    return Standing(better, len(tied), sum(name in known for name in tied))


def listed_standing(ranking: Sequence[str], relevant: Collection[str]) -> Standing | None:
    """Return the standing in a list whose order is taken as it is; None when no relevant candidate is in it."""
    place = next((place for place, name in enumerate(ranking) if name in set(relevant)), None)
    return None if place is None else Standing(place, 1, 1)


def own_relevant(item: Item, candidates: Collection[str]) -> set[str]:
    """Return the relevant candidates without duplicates: a caption's own picture, or a picture's own captions."""
    picture = str(item.meta.get("captions_of", ""))
    if not picture:
        return set(item.references)
    if item.id == picture:
        return {name for name in candidates if name.startswith(picture + CAPTION_MARK)}
    return {picture}


def read_ranking(text: str) -> list[str]:
    """Return the ids of a JSON list; empty when the text is none."""
    try:
        listed = json.loads(text)
    except ValueError:
        return []
    return [str(name) for name in listed] if isinstance(listed, list) else []


class Retrieval:
    """Recall at 1, 5 and 10 of one direction; their mean is the score (mR is its mean over the two directions).

    Args:
        relevance: ``"own"`` (published: only the pair's own partner is right) or ``"duplicates"`` (a candidate of equal
            content is right too).
        ties: ``"expected"`` (mean over the orders of equal scores), ``"worst"``, ``"best"`` or ``"listed"`` (the order
            that the system wrote).

    Source:
        Recall at k as in Karpathy and Fei-Fei, arXiv:1412.2306; clip_benchmark zeroshot_retrieval.py as RemoteCLIP
        uses it (torch.topk: the order of equal scores is not defined).
    """

    name = "mean recall"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, relevance: Relevance = "own", ties: Ties = "expected") -> None:
        self._relevance, self._ties = relevance, ties

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each query, then the set: median rank, queries with ties or without a ranking."""
        standings = [self._standing(item) for item in items]
        judgements = tuple(self._judge(item, standing) for item, standing in zip(items, standings, strict=True))
        found = [standing for standing in standings if standing is not None]
        corpus = {"num_queries_with_ties": float(sum(standing.tied > standing.relevant for standing in found))}
        if found:
            # A query whose partner is nowhere in the list counts as last: infinitely far, so that it moves the median.
            ranks = [float("inf") if standing is None else standing.rank(self._ties) for standing in standings]
            middle = median(ranks)
            if middle < float("inf"):
                corpus["median_rank"] = middle
        return Judged(judgements, corpus)

    def _standing(self, item: Item) -> Standing | None:
        ranking = read_ranking(item.prediction)
        relevant = own_relevant(item, item.scores or ranking) if self._relevance == "own" else all_relevant(item)
        if self._ties == "listed" or not item.scores:
            return listed_standing(ranking, relevant)
        return standing_of(item.scores, relevant)

    def _judge(self, item: Item, standing: Standing | None) -> Judgement:
        recalls = {f"R@{k}": standing.recall(k, self._ties) if standing else 0.0 for k in KS}
        is_parsed = bool(item.scores) or bool(read_ranking(item.prediction))
        first = next(iter(read_ranking(item.prediction)), "")
        return Judgement(sum(recalls.values()) / len(recalls), is_parsed, first, recalls)


def all_relevant(item: Item) -> set[str]:
    """Return every relevant candidate, duplicates of equal content included."""
    listed = item.meta.get("answers")
    return {str(name) for name in listed} if isinstance(listed, list) and listed else set(item.references)


def mean_recall(by_direction: Mapping[str, Mapping[str, float]]) -> float:
    """Return mR: the mean of R@1, R@5 and R@10 over both directions, each figure counting the same."""
    figures = [recalls[f"R@{k}"] for recalls in by_direction.values() for k in KS]
    return sum(figures) / len(figures) if figures else 0.0


def text_to_image_ceiling(captions: Sequence[tuple[str, str]], k: int = 1) -> float:
    """Return the best R@k that any system can reach from text to image when captions repeat across pictures.

    Equal texts get equal rankings, so at most ``k`` of the pictures that share a text are found by it.

    Args:
        captions: (text, picture) of every query; texts are compared as given, so normalise them first.
        k: Length of the list.
    """
    pictures: dict[str, Counter[str]] = defaultdict(Counter)
    for text, picture in captions:
        pictures[text][picture] += 1
    reachable = sum(sum(count for _, count in counts.most_common(k)) for counts in pictures.values())
    return reachable / len(captions) if captions else 0.0


def image_to_text_ceiling(captions: Sequence[tuple[str, str]]) -> float:
    """Return the best expected R@1 from image to text: equal texts tie, and the tie is broken at random.

    The best a system can do for a picture is to put first the text whose copies are to the largest part its own.

    Args:
        captions: (text, picture) of every candidate caption.
    """
    copies = Counter(text for text, _ in captions)
    own: dict[str, Counter[str]] = defaultdict(Counter)
    for text, picture in captions:
        own[picture][text] += 1
    best = [max(count / copies[text] for text, count in counts.items()) for counts in own.values()]
    return sum(best) / len(best) if best else 0.0
