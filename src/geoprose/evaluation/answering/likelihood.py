"""The likeliest of the options is the answer: nothing is parsed, and every option has a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from geoprose.core.errors import ConfigError
from geoprose.evaluation.answering.base import Reply, require_options, require_words
from geoprose.evaluation.answering.prompts import letter_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.answering.base import Examinee, Progress, Question
    from geoprose.systems.build import System


class RankOptions:
    """Rank the options by their log-likelihood behind the question.

    Args:
        is_mean: Divide by the number of tokens, so that long options are not at a disadvantage.
        rank: Rank the options' texts, or the letters that stand before them in the prompt.
    """

    is_setwise = False

    def __init__(self, is_mean: bool = False, rank: Literal["text", "letter"] = "text") -> None:
        if rank not in ("text", "letter"):
            raise ConfigError(f"rank is {rank!r}; known are 'text' and 'letter'.")
        self._is_mean = is_mean
        self._has_letters = rank == "letter"

    def check(self, system: System[Any]) -> None:
        """Refuse a system without a language model."""
        require_words(system, "likelihood")

    def answer(
        self, examinee: Examinee, questions: Sequence[Question], on_progress: Progress | None = None
    ) -> list[Reply]:
        """Return the likeliest option; of equal ones the first."""
        from geoprose.inference.likelihood import OptionRequest, rank_options

        require_options(questions, "likelihood")
        ranked = [self._ranked(question.options) for question in questions]
        requests = [
            OptionRequest(question.images, question.text, options, question.history)
            for question, options in zip(questions, ranked, strict=True)
        ]
        scores = rank_options(
            examinee.system,
            requests,
            batch_size=examinee.batch_size,
            on_progress=on_progress,
            features=examinee.features,
            is_mean=self._is_mean,
        )
        return [best_of(options, row) for options, row in zip(ranked, scores, strict=True)]

    def _ranked(self, options: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(letter_of(place) for place in range(len(options))) if self._has_letters else options


def best_of(options: Sequence[str], scores: Sequence[float]) -> Reply:
    """Return the option with the largest score, the first of equal ones, and every option's score."""
    best = max(range(len(options)), key=lambda place: scores[place])
    return Reply(options[best], dict(zip(options, (float(score) for score in scores), strict=True)))
