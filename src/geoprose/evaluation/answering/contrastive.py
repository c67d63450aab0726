"""A dual encoder names the label whose text lies nearest to the picture: zero-shot classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.evaluation.answering.base import require_kind, require_options
from geoprose.evaluation.answering.likelihood import best_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.answering.base import Examinee, Progress, Question, Reply
    from geoprose.systems.build import System

MAX_PICTURES = 256
"""Pictures that are embedded between two reports of progress."""


class NearestLabel:
    """Compare each picture with the embedded texts of its labels.

    Args:
        templates: Prompts with ``{}`` for the label; those of the system's preset when None.
    """

    is_setwise = False

    def __init__(self, templates: Sequence[str] | None = None) -> None:
        self._templates = None if templates is None else tuple(templates)

    def check(self, system: System[Any]) -> None:
        """Refuse all but dual encoders."""
        is_able = system.spec.kind == "dual_encoder"
        instead = "Give a dual encoder such as remoteclip, or the task that answers by 'generate' or 'likelihood'."
        require_kind(system, is_able, "contrastive", instead)

    def answer(
        self, examinee: Examinee, questions: Sequence[Question], on_progress: Progress | None = None
    ) -> list[Reply]:
        """Return the nearest label of each picture, and the similarity of every label."""
        from geoprose.inference.zero_shot import LabelClassifier

        require_options(questions, "contrastive")
        several = [question.sample.id for question in questions if len(question.images) != 1]
        if several:
            raise TaskError(f"Sample {several[0]} does not have one picture, which 'contrastive' needs.")
        by_labels: dict[tuple[str, ...], list[int]] = {}
        for place, question in enumerate(questions):
            by_labels.setdefault(tuple(dict.fromkeys(question.options)), []).append(place)
        replies: dict[int, Reply] = {}
        for labels, places in by_labels.items():
            classifier = LabelClassifier(examinee.system, labels, self._templates)
            for start in range(0, len(places), MAX_PICTURES):
                part = places[start : start + MAX_PICTURES]
                logits_NK = classifier.logits([questions[place].images[0] for place in part])
                replies |= {place: best_of(labels, row) for place, row in zip(part, logits_NK.tolist(), strict=True)}
                if on_progress is not None:
                    on_progress(len(replies), len(questions))
        return [replies[place] for place in range(len(questions))]
