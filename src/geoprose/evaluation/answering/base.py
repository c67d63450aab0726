"""What every way of answering takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from geoprose.core.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Message, Sample
    from geoprose.inference.features import FeatureCache
    from geoprose.systems.build import System

Progress = Callable[[int, int], None]
"""Called with (answered, total)."""


@dataclass(frozen=True)
class Question:
    """A sample as the system is asked it.

    Attributes:
        sample: The sample.
        images: Pictures that are shown: those of the solved examples first, then the sample's own (or their stand-ins).
        text: The words that are shown, without image marks.
        options: What there is to choose among; empty where the answer is free.
        history: System message and solved examples before the question.
        shots: Ids of the solved examples.
    """

    sample: Sample
    images: tuple[Path, ...]
    text: str
    options: tuple[str, ...] = ()
    history: tuple[Message, ...] = ()
    shots: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What a system answered.

    Attributes:
        text: The answer.
        scores: What it gave each option, label or candidate.
    """

    text: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Examinee:
    """A system that is asked, and how.

    Attributes:
        system: The system.
        max_new_tokens: Longest answer.
        batch_size: Questions answered together.
        is_blind: Whether its pictures are replaced by zeros.
    """

    system: System[Any]
    max_new_tokens: int
    batch_size: int
    is_blind: bool = False

    @cached_property
    def features(self) -> FeatureCache:
        """Encoder outputs seen so far: each picture is encoded once for all questions."""
        from geoprose.inference.features import FeatureCache

        return FeatureCache(self.system, is_blind=self.is_blind)


class Answering(Protocol):
    """One way of answering; its options are keyword arguments with defaults."""

    is_setwise: bool
    """Whether all questions are needed at once, so that the work cannot be cut into pieces."""

    def check(self, system: System[Any]) -> None:
        """Refuse a system that cannot answer this way.

        Raises:
            TaskError: Naming the kind of the system and what to use instead.
        """
        ...

    def answer(
        self, examinee: Examinee, questions: Sequence[Question], on_progress: Progress | None = None
    ) -> list[Reply]:
        """Return one reply per question, in order."""
        ...


def require_kind(system: System[Any], is_able: bool, way: str, instead: str) -> None:
    """Refuse a system that is not able to answer in a way.

    Raises:
        TaskError: If it is not.
    """
    if not is_able:
        raise TaskError(
            f"System {system.spec.name} is of kind {system.spec.kind}, which cannot answer by {way!r}. {instead}"
        )


def require_words(system: System[Any], way: str) -> None:
    """Refuse a system without a language model.

    Raises:
        TaskError: If it has none.
    """
    instead = (
        "Give a system with a language model (`geoprose systems list` shows them), or a task that is answered by "
        "'contrastive' or 'retrieval' for a dual encoder, by 'dense' for a dense system."
    )
    require_kind(system, hasattr(system.spec, "language_model"), way, instead)


def require_options(questions: Sequence[Question], way: str) -> None:
    """Refuse questions without options.

    Raises:
        TaskError: Naming the first one.
    """
    missing = [question.sample.id for question in questions if not question.options]
    if missing:
        raise TaskError(
            f"{len(missing)} questions have no options to choose among (first: {missing[0]}), which {way!r} needs. "
            "Give the samples meta.options, the task `labels`, or answer by 'generate'."
        )
