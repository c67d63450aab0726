"""Multiple choice: one letter, several letters, and all orders of the options."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, Literal

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.grouped import group_means, macro_mean, means_table, places_by_question
from geoprose.evaluation.metrics.questions.choice_rules import (
    LETTERS,
    find_rule,
    letter_of_text,
    letters_of,
    listed_letters,
    read_letters,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import JsonValue

Unparsable = Literal["wrong", "random"]
SPLITS = ("category", "duration_group")


def options_of(item: Item) -> list[str]:
    """Return the options of an item in the order shown; empty when its meta lists none."""
    listed = item.meta.get("options")
    return [str(option) for option in listed] if isinstance(listed, list) else []


def right_letters(item: Item) -> str:
    """Return the right letter or letters, sorted: from ``meta["answer_index"]``, else from the first reference."""
    index = item.meta.get("answer_index")
    if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(LETTERS):
        return LETTERS[index]
    if not item.references:
        return ""
    options = options_of(item)
    reference = item.references[0]
    return (
        listed_letters(reference, letters_of(options) if options else LETTERS)
        or letter_of_text(reference, options)
        or read_letters(reference, options)
    )


class Choice:
    """Accuracy of multiple-choice answers; several right letters must be named exactly.

    The mean over ``meta["category"]`` and ``meta["duration_group"]`` stands beside the mean over questions. An answer
    without a letter is wrong, stays in the denominator and is counted.

    Args:
        rule: How letters are read (``choice_rules.RULES``).
        unparsable: ``"wrong"``, or ``"random"`` for a random option as MMMU's script draws one, here seeded by the id.
        is_contained: Count an answer that is part of the right letters as right (VHM's ``in``).
    """

    name = "accuracy"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, rule: str = "strict", unparsable: Unparsable = "wrong", is_contained: bool = False) -> None:
        self._read = find_rule(rule)
        self._unparsable, self._is_contained = unparsable, is_contained

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item, then the categories."""
        judgements = tuple(self._judge(item) for item in items)
        corpus: dict[str, float] = {}
        tables: dict[str, JsonValue] = {}
        for key in SPLITS:
            if means := group_means(items, judgements, key):
                corpus[f"macro_by_{key}"] = macro_mean(means)
                tables[f"by_{key}"] = means_table(means)
        return Judged(judgements, corpus, tables)

    def _judge(self, item: Item) -> Judgement:
        truth, letters = right_letters(item), self._read(item.prediction, options_of(item))
        is_parsed, guessed = bool(letters), 0.0
        if not is_parsed and self._unparsable == "random":
            letters, guessed = _random_letter(item), 1.0
        is_right = bool(letters) and (letters == truth or (self._is_contained and letters in truth))
        extras = {"guessed": guessed} if self._unparsable == "random" else {}
        return Judgement(float(is_right), is_parsed, letters, extras, truth)


class CircularChoice(Choice):
    """A question is right only when it is right in every order of its options (MMBench's CircularEval).

    Orders of one question share ``meta["group"]``. Each of them scores what its question scores, so that the mean is
    over questions as they were asked; ``circular_accuracy`` counts each question once, however many options it has, and
    ``single_accuracy`` each order by itself.

    Source:
        Liu et al., MMBench, arXiv:2307.06281, section 4.2.
    """

    name = "circular accuracy"

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each order, then each question."""
        single = super().judge(items)
        if not any("group" in item.meta for item in items):
            reason = "needs meta.group: which orders belong to one question"
            return Judged(single.judgements, single.corpus, single.tables, {"circular_accuracy": reason})
        groups = places_by_question(items)
        is_right = {
            name: all(single.judgements[place].score == 1 for place in places) for name, places in groups.items()
        }
        named = {place: name for name, places in groups.items() for place in places}
        judgements = tuple(
            Judgement(
                float(is_right[named[place]]), j.is_parsed, j.label, {**j.extras, "single_accuracy": j.score}, j.truth
            )
            for place, j in enumerate(single.judgements)
        )
        corpus = {
            "circular_accuracy": sum(is_right.values()) / len(is_right),
            "num_questions": float(len(groups)),
            "num_questions_in_one_order": float(sum(len(places) == 1 for places in groups.values())),
        }
        return Judged(judgements, corpus, single.tables)


def _random_letter(item: Item) -> str:
    # A seed by the id: the same whatever else is in the file, and in whatever pieces it is scored.
    draw = random.Random(zlib.crc32(item.id.encode()))  # noqa: S311 - a guess, not a secret
    return draw.choice(letters_of(options_of(item)))
