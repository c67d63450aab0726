"""The system writes its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.evaluation.answering.base import Reply, require_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.answering.base import Examinee, Progress, Question
    from geoprose.systems.build import System


class Generate:
    """Greedy decoding, or beam search; the questions of one picture share its prefix.

    Args:
        num_beams: Unfinished answers that go on side by side; 1 is greedy.
        length_penalty: Beams are ranked by ``log p / length ** length_penalty``.
    """

    is_setwise = False

    def __init__(self, num_beams: int = 1, length_penalty: float = 1.0) -> None:
        self.num_beams = num_beams
        self.length_penalty = length_penalty

    def check(self, system: System[Any]) -> None:
        """Refuse a system without a language model."""
        require_words(system, "generate")

    def answer(
        self, examinee: Examinee, questions: Sequence[Question], on_progress: Progress | None = None
    ) -> list[Reply]:
        """Return what the system wrote, stripped."""
        from geoprose.inference.generate import Request, answer_batch

        requests = [Request(question.images, question.text, question.history) for question in questions]
        texts = answer_batch(
            examinee.system,
            requests,
            examinee.max_new_tokens,
            examinee.batch_size,
            on_progress,
            examinee.features,
            num_beams=self.num_beams,
            length_penalty=self.length_penalty,
        )
        return [Reply(text) for text in texts]
