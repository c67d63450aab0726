"""Yes/no questions: how an answer is read, by named rules, and what POPE and MME make of the readings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.grouped import (
    group_means,
    macro_mean,
    means_table,
    places_by_group,
    places_by_question,
)
from geoprose.evaluation.metrics.questions.yes_no_figures import yes_no_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geoprose.core.types import JsonValue

_WORD = re.compile(r"[a-z']+")


def read_first_word(text: str) -> str:
    """Read the first word if it is yes or no, else the only one of the two that occurs as a word; empty otherwise."""
    words: list[str] = _WORD.findall(text.lower())
    if words and words[0] in ("yes", "no"):
        return words[0]
    found = {word for word in words if word in ("yes", "no")}
    return found.pop() if len(found) == 1 else ""


def read_equal(text: str) -> str:
    """Read "yes" or "no" alone, in any case (lmms-eval's POPE): "Yes." with a full stop is unparsable."""
    answer = text.lower().strip()
    return answer if answer in ("yes", "no") else ""


def read_mme(text: str) -> str:
    """Read yes or no in the first four characters, y or n alone (MME as in Otter and lmms-eval)."""
    answer = text.lower().strip().replace(".", "")
    if len(answer) == 1:
        return {"y": "yes", "n": "no"}.get(answer, "")
    return next((word for word in ("yes", "no") if word in answer[:4]), "")


def read_pope(text: str) -> str:
    """Read "no" when the first sentence has the word No, no or not, else "yes": nothing is ever unparsable.

    Source:
        POPE, evaluate.py. An empty answer, or any sentence without those words, is a "yes".
    """
    words = text.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def read_vhm(text: str) -> str:
    """Read "yes" and "no" anywhere, inside other words too; both or neither is unparsable.

    Source:
        VHM RSEvalKit, eval_results_presence. "no" is looked for in the text as written and inside words, so "unknown"
        and "cannot" mean no, and "No" alone means nothing.
    """
    has_yes, has_no = "yes" in text.lower(), any(word in text for word in ("no", "false"))
    if has_yes == has_no:
        return ""
    return "yes" if has_yes else "no"


RULES: dict[str, Callable[[str], str]] = {
    "first_word": read_first_word,
    "equal": read_equal,
    "mme": read_mme,
    "pope": read_pope,
    "vhm": read_vhm,
}
"""Ways to read a yes/no answer; each gives "yes", "no" or nothing."""
YesRatioOf = Literal["predictions", "references"]
SPLITS = ("negatives", "size_group", "category")
"""Kind of the absent object (POPE), size of the object asked for, published sub-category."""


class YesNo:
    """Accuracy of yes/no answers; precision, recall and F1 of "yes" and the share of "yes" beside it.

    Args:
        rule: How an answer is read (``RULES``).
        split_by: Keys of the meta by which everything is reported again, where the samples have them.
        yes_ratio_of: Whose "yes" are counted: those of the predictions; ``"references"`` reproduces lmms-eval, whose
            ratio is a property of the questions and the same for every system.
    """

    name = "accuracy"
    is_accuracy = True
    is_itemwise = False

    def __init__(
        self, *, rule: str = "first_word", split_by: Sequence[str] = SPLITS, yes_ratio_of: YesRatioOf = "predictions"
    ) -> None:
        self._read = find_rule(rule)
        self._split_by, self._yes_ratio_of = split_by, yes_ratio_of

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items, then count yes and no over the whole set and each split."""
        judgements = tuple(judge_yes_no(item, self._read) for item in items)
        tables: dict[str, JsonValue] = {}
        for key in self._split_by:
            if group_means(items, judgements, key):
                tables[f"by_{key}"] = {
                    name: dict(self._figures([judgements[place] for place in places]))
                    for name, places in sorted(places_by_group(items, key).items())
                }
        figures = self._figures(judgements)
        # The report has n and accuracy of the whole set already.
        return Judged(judgements, {key: figures[key] for key in figures if key not in ("n", "accuracy")}, tables)

    def _figures(self, judgements: Sequence[Judgement]) -> dict[str, float]:
        pairs = [(judgement.truth, judgement.label) for judgement in judgements]
        figures = yes_no_figures(pairs)
        if self._yes_ratio_of == "references":
            figures["yes_ratio"] = figures["yes_ratio_of_references"]
        return figures


class PairedYesNo:
    """MME: accuracy, and accuracy+ for which both questions of a picture must be right.

    The score is the accuracy of single questions; ``accuracy_plus`` and ``mme_score`` (accuracy plus accuracy+, in
    points, summed over categories) stand beside it. Questions of one picture share ``meta["group"]``.

    Args:
        rule: How an answer is read (``RULES``).

    Source:
        Fu et al., MME, arXiv:2306.13394, section 2.2.
    """

    name = "accuracy"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, rule: str = "first_word") -> None:
        self._read = find_rule(rule)

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items, then the pictures."""
        judgements = tuple(judge_yes_no(item, self._read) for item in items)
        if not any("group" in item.meta for item in items):
            reason = "needs meta.group: which questions belong to one picture"
            return Judged(judgements, unavailable={"accuracy_plus": reason, "mme_score": reason})
        by_category = {
            name: _pair_scores([items[place] for place in places], [judgements[place] for place in places])
            for name, places in sorted(places_by_group(items, "category").items())
        }
        plus = {name: (groups, both) for name, (groups, _, both, _) in by_category.items()}
        total_groups = sum(groups for groups, _ in plus.values())
        corpus = {
            "accuracy_plus": sum(groups * both for groups, both in plus.values()) / total_groups,
            "accuracy_plus_macro": macro_mean(plus),
            "mme_score": sum(100 * (single + both) for _, single, both, _ in by_category.values()),
            "num_groups_not_of_two": float(sum(odd for _, _, _, odd in by_category.values())),
        }
        means = {name: (groups, single) for name, (groups, single, _, _) in by_category.items()}
        return Judged(judgements, corpus, {"accuracy_plus": means_table(plus), "accuracy": means_table(means)})


def find_rule(name: str) -> Callable[[str], str]:
    """Return a rule for reading yes/no by name.

    Raises:
        ConfigError: If the name is unknown; close names are listed.
    """
    if name not in RULES:
        raise ConfigError(unknown_name_message("rule for yes/no", name, RULES))
    return RULES[name]


def judge_yes_no(item: Item, read: Callable[[str], str]) -> Judgement:
    """Judge one item; the reference is read by the plain rule whatever rule reads the answer."""
    truth = next((word for word in map(read_first_word, item.references) if word), "")
    answer = read(item.prediction)
    return Judgement(float(bool(answer) and answer == truth), bool(answer), answer, truth=truth)


def _pair_scores(items: Sequence[Item], judgements: Sequence[Judgement]) -> tuple[int, float, float, int]:
    """Return groups, accuracy, accuracy+ and the number of groups that have not two questions."""
    groups = places_by_question(items)
    both = sum(all(judgements[place].score == 1 for place in places) for places in groups.values())
    odd = sum(len(places) != 2 for places in groups.values())
    single = sum(judgement.score for judgement in judgements) / len(judgements)
    return len(groups), single, both / len(groups), odd
