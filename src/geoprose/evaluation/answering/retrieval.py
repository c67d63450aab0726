"""A dual encoder finds pictures for texts and texts for pictures.

Every sample of task ``text_to_image`` is a text to search with, every one of ``image_to_text`` a picture; each side's
candidates are the samples of the other. A candidate is named by its sample's id, and ``meta.answers`` lists the right
ones.
"""

# Q queries, N candidates

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.evaluation.answering.base import Reply, require_kind
from geoprose.evaluation.predictions import references_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.evaluation.answering.base import Examinee, Progress, Question
    from geoprose.systems.build import System

TEXT_TO_IMAGE = "text_to_image"
IMAGE_TO_TEXT = "image_to_text"
NUM_LISTED = 10
NUM_SCORED = 100
CHUNK = 256
"""Queries that are ranked at once."""


class Retrieve:
    """Rank all candidates by cosine similarity; equal ones in the order of the samples."""

    is_setwise = True

    def check(self, system: System[Any]) -> None:
        """Refuse all but dual encoders."""
        is_able = system.spec.kind == "dual_encoder"
        require_kind(system, is_able, "retrieval", "Give a dual encoder such as remoteclip or georsclip.")

    def answer(
        self, examinee: Examinee, questions: Sequence[Question], on_progress: Progress | None = None
    ) -> list[Reply]:
        """Return per query a JSON list of the first ids, and the similarities of the best and of every right one."""
        from geoprose.inference.zero_shot import embed_images, embed_texts

        texts, pictures = (_side(questions, task) for task in (TEXT_TO_IMAGE, IMAGE_TO_TEXT))
        if not texts or not pictures:
            raise TaskError(
                f"Retrieval found {len(texts)} samples of task {TEXT_TO_IMAGE} and {len(pictures)} of {IMAGE_TO_TEXT}; "
                "it needs both: each side's candidates are the samples of the other."
            )
        texts_QD = embed_texts(examinee.system, [question.text for question in texts])
        images_ND = embed_images(examinee.system, [question.images[0] for question in pictures])
        found = _ranked(texts, pictures, (texts_QD, images_ND)) | _ranked(pictures, texts, (images_ND, texts_QD))
        if on_progress is not None:
            on_progress(len(questions), len(questions))
        return [found[question.sample.id] for question in questions]


def _side(questions: Sequence[Question], task: str) -> list[Question]:
    return [question for question in questions if question.sample.task == task]


def _ranked(
    queries: Sequence[Question], candidates: Sequence[Question], vectors: tuple[Tensor, Tensor]
) -> dict[str, Reply]:
    """Rank the candidates for each query."""
    queries_QD, candidates_ND = vectors
    ids = [candidate.sample.id for candidate in candidates]
    place_of = {name: place for place, name in enumerate(ids)}
    replies: dict[str, Reply] = {}
    for start in range(0, len(queries), CHUNK):
        similarity_QN = queries_QD[start : start + CHUNK] @ candidates_ND.T
        order_QN = similarity_QN.sort(dim=-1, descending=True, stable=True).indices[:, :NUM_SCORED]
        for row, query in enumerate(queries[start : start + CHUNK]):
            right = [place_of[name] for name in references_of(query.sample) if name in place_of]
            if not right:
                raise TaskError(
                    f"None of the right answers of {query.sample.id} is among the {len(ids)} candidates. Retrieval is "
                    "evaluated on whole splits, without --limit; and meta.answers must list ids of samples."
                )
            best = order_QN[row].tolist()
            kept = dict.fromkeys([*best, *right])
            scores = {ids[place]: float(similarity_QN[row, place]) for place in kept}
            replies[query.sample.id] = Reply(json.dumps([ids[place] for place in best[:NUM_LISTED]]), scores)
    return replies
