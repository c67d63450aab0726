"""Matches of one text inside the other, as several kits of the field score; kept for reproduction, each one flagged.

The default of every protocol is equality. "no" is inside "unknown", an empty answer is inside everything, and a list of
all classes holds the right one: these definitions exist only as named variants.
"""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.labels.classification import summarise_pairs
from geoprose.evaluation.metrics.labels.normalise_published import find_normaliser, remove_spaces

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Direction = Literal["prediction_in_reference", "reference_in_prediction"]
# Source: nltk word_tokenize (Treebank rules) on a text without spaces: signs, brackets and outer quotes part it, an
# inner hyphen, slash, point or apostrophe does not, a comma between digits does not. Its contractions are left out.
# Why not nltk: importing it takes two seconds and pulls in pandas, for one flagged variant; a test holds this equal.
_TREEBANK = re.compile(
    r"""
    \.\.\. | -- | [;@\#$%&?!\[\](){}<>"] | [:,](?!\d) | \.(?=[\])}>"']*$) | (?<!\w)' | '(?!\w)
  | (?: [^;@\#$%&?!\[\](){}<>":,.'] | (?<=\w)'(?=\w) | [:,](?=\d) | \.(?!\W*$)(?!\.\.) )+
  | \S
    """,
    re.VERBOSE,
)


class SubstringMatch:
    """1 when one text is part of the other.

    Args:
        direction: ``"prediction_in_reference"`` (VHM, LHRS-Bot: an empty answer is right) or
            ``"reference_in_prediction"`` (VRSBench: "no" is inside "unknown").
        normaliser: Spelling of the prediction.
        reference_normaliser: Spelling of the references; that of the prediction when empty.
    """

    name = "substring accuracy"
    is_accuracy = True
    is_itemwise = True

    def __init__(
        self,
        *,
        direction: Direction = "reference_in_prediction",
        normaliser: str = "lower",
        reference_normaliser: str = "",
    ) -> None:
        self._normalise = find_normaliser(normaliser)
        self._normalise_reference = find_normaliser(reference_normaliser or normaliser)
        self._is_reversed = direction == "prediction_in_reference"

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own."""
        return Judged(tuple(self._judge(item) for item in items))

    def _judge(self, item: Item) -> Judgement:
        answer = self._normalise(item.prediction)
        references = [self._normalise_reference(reference) for reference in item.references]
        is_correct = any(answer in known if self._is_reversed else known in answer for known in references)
        truth = references[0] if references else ""
        # An empty answer that counts as right is the fault itself, so it is not hidden as unparsed.
        return Judgement(float(is_correct), bool(answer) or is_correct, truth if is_correct else answer, truth=truth)


def treebank_tokens(text: str) -> list[str]:
    """Return the tokens of a text without spaces."""
    return _TREEBANK.findall(text)


def token_recall(prediction: str, reference: str) -> float:
    """Return the share of the reference's tokens that are in the prediction, after all spaces are removed.

    Source:
        EarthDial, rs_classification/rs_recall.py and rs_vqa/vqa_recall.py. Removing the spaces first leaves one token
        for nearly every class name, so it is equality that forgives whatever stands beside the name: a list of all
        classes recalls each of them.
    """
    known, answer = treebank_tokens(remove_spaces(reference)), treebank_tokens(remove_spaces(prediction))
    return len(set(known) & set(answer)) / len(known) if known else 0.0


class TokenRecall:
    """EarthDial's score: recall of the reference's tokens, which nothing said in addition can lower."""

    name = "token recall"
    is_accuracy = True
    is_itemwise = True

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own; the best reference counts."""
        return Judged(tuple(_judge_recall(item) for item in items))


def _judge_recall(item: Item) -> Judgement:
    score = max((token_recall(item.prediction, reference) for reference in item.references), default=0.0)
    truth = remove_spaces(item.references[0]) if item.references else ""
    answer = remove_spaces(item.prediction)
    return Judgement(score, bool(answer), truth if score == 1 else answer, truth=truth)


def longest_common_substring(text: str, classes: Collection[str]) -> str:
    """Return the first class that shares the longest run of characters with ``text``; the last class when none does.

    Source:
        LHRS-Bot, main_cls.py find_index_of_max_similar_substring: without a common character its index is -1, which
        Python reads as the last class.
    """
    best, chosen = 0, ""
    for name in classes:
        matcher = SequenceMatcher(None, text, name)
        size = matcher.find_longest_match(0, len(text), 0, len(name)).size
        if size > best:
            best, chosen = size, name
    return chosen or (list(classes)[-1] if classes else "")


class NearestClass:
    """LHRS-Bot's reading of a scene answer: the class of that name, else the one with the longest common substring.

    The score of an item is whether that class is the right one; the published figure is ``balanced_accuracy``, the mean
    recall over classes. No answer is ever unparsable, an empty one included.
    """

    name = "nearest-class accuracy"
    is_accuracy = True
    is_itemwise = False

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items against the classes that are listed in their meta or occur as references."""
        occurring = sorted({_class_name(item.references[0]) for item in items if item.references})
        judgements = tuple(_judge_nearest(item, occurring) for item in items)
        pairs = Counter((judgement.truth, judgement.label) for judgement in judgements)
        return Judged(judgements, {"balanced_accuracy": summarise_pairs(pairs).aa} if items else {})


def _class_name(text: str) -> str:
    return text.strip().lower().replace("_", " ")


def _judge_nearest(item: Item, occurring: list[str]) -> Judgement:
    listed = item.meta.get("options")
    classes = [_class_name(str(name)) for name in listed] if isinstance(listed, list) and listed else occurring
    answer = item.prediction.strip()
    label = answer if answer in classes else longest_common_substring(answer, classes)
    truth = _class_name(item.references[0]) if item.references else ""
    accepted = {_class_name(reference) for reference in item.references}
    return Judgement(float(label in accepted), True, truth if label in accepted else label, truth=truth)
