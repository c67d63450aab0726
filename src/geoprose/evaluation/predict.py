"""Let the system and the baselines answer, and write every raw answer before anything is scored."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.evaluation.answering.expand import BASE_KEY
from geoprose.evaluation.answering.questions import Material, QuestionMaker
from geoprose.evaluation.answering.registry import build_answering
from geoprose.evaluation.answering.turns import answer_in_turns
from geoprose.evaluation.baselines.plan import baseline_texts, planned_baselines
from geoprose.evaluation.baselines.shuffled import shuffled_images
from geoprose.evaluation.predictions import (
    ImageHashes,
    Prediction,
    predictions_path,
    to_predictions,
    write_predictions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.answering.base import Examinee
    from geoprose.evaluation.resume import Shard, Workplace
    from geoprose.evaluation.tasks import TaskSpec
    from geoprose.systems.build import System

logger = logging.getLogger(__name__)
SHUFFLE_SEED = 0
PIECE = 512
"""Questions that are answered and written together: the most that a kill can lose."""
Progress = Callable[[str, int, int], None]
"""Called with (who answers, answered, total)."""


@dataclass(frozen=True)
class Exam:
    """Everything that an answerer may look at.

    Attributes:
        task: The task.
        samples: Samples to answer.
        train: Samples that baselines may learn from.
        data_dir: Folder that image paths are relative to.
        batch_size: Questions answered together.
        on_progress: Where progress goes.
    """

    task: TaskSpec
    samples: tuple[Sample, ...]
    train: tuple[Sample, ...]
    data_dir: Path
    batch_size: int = 64
    on_progress: Progress | None = None

    def material(self, hashes: ImageHashes | None = None) -> Material:
        """Return what questions are made of."""
        hashes = hashes or ImageHashes(self.data_dir)
        return Material(self.task, self.samples, self.train, self.data_dir, hashes)


def predict_all(exam: Exam, examinees: Mapping[str, Examinee], work: Workplace) -> dict[str, str]:
    """Write the answers of the system and of every baseline that are not there yet.

    Args:
        exam: What is asked.
        examinees: ``system``, and ``blind`` where there is one.
        work: Where answers go.

    Returns:
        Baselines of the task that were left out, and why.

    Raises:
        TaskError: If the system cannot answer in the task's way.
    """
    build_answering(exam.task).check(examinees["system"].system)
    hashes = ImageHashes(exam.data_dir)
    names, left_out = planned_baselines(exam.task, exam.samples, exam.train)
    for name, reason in left_out.items():
        logger.warning("baseline %s is left out: %s", name, reason)
    for source in ["system", *names, *(["blind"] if "blind" in examinees else [])]:
        if work.is_done(source):
            continue
        started = time.perf_counter()
        if source in ("system", "shuffled", "blind"):
            examinee = examinees.get(source, examinees["system"])
            with in_float32(examinee.system):
                _answer_in_pieces(source, examinee, exam, work, hashes)
        elif _is_own(source, names, work.shard):
            texts = baseline_texts(source, exam.task, (exam.train, exam.samples), exam.data_dir, examinees["system"])
            shown = [hashes.of(sample.images) for sample in exam.samples]
            path = predictions_path(work.out_dir, source)
            write_predictions(path, to_predictions(exam.samples, texts, source, shown))
            _remember_seconds(work, source, started)
    return left_out


def _is_own(source: str, names: Sequence[str], shard: Shard) -> bool:
    """Tell whether a baseline that answers all questions at once is for this shard; they take turns."""
    whole = [name for name in names if name not in ("shuffled", "blind")]
    return whole.index(source) % shard.count == shard.index - 1


def planned_sources(exam: Exam, has_blind: bool) -> list[str]:
    """Return who answers, in the order of the report."""
    names, _ = planned_baselines(exam.task, exam.samples, exam.train)
    return ["system", *names, *(["blind"] if has_blind else [])]


@contextmanager
def in_float32(system: System[Any]) -> Iterator[None]:
    """Run the system in float32: answers then hardly depend on how questions are batched. Restores the type after."""
    dtype = system.model.dtype
    system.model.float()
    try:
        yield
    finally:
        system.model.to(dtype)


def pieces_of(samples: Sequence[Sample], size: int) -> list[list[int]]:
    """Cut the samples into even pieces of at most about ``size``; what is about the same pictures stays together.

    The pieces depend on the samples alone, so a run that is gone on with, or split into shards, batches its questions
    like one that is not: the answers are the same to the last bit.

    Returns:
        Places of the samples of each piece.
    """
    size = -(-len(samples) // max(1, -(-len(samples) // size)))  # even, so that shards have as much to do
    groups: dict[object, list[int]] = {}
    for place, sample in enumerate(samples):
        groups.setdefault(sample.meta.get(BASE_KEY) or sample.images, []).append(place)
    pieces: list[list[int]] = [[]]
    for key, places in groups.items():
        step = len(places) if isinstance(key, str) else size  # a conversation is never cut
        for start in range(0, len(places), step):
            part = places[start : start + step]
            if pieces[-1] and len(pieces[-1]) + len(part) > size:
                pieces.append([])
            pieces[-1] += part
    return [piece for piece in pieces if piece]


def _answer_in_pieces(source: str, examinee: Examinee, exam: Exam, work: Workplace, hashes: ImageHashes) -> None:
    """Answer this shard's pieces that are not on the disk yet, each written before the next one begins."""
    way = build_answering(exam.task)
    maker = QuestionMaker(exam.material(hashes), examinee.system)
    own = [sample.images for sample in exam.samples]
    shown = shuffled_images(exam.samples, SHUFFLE_SEED) if source == "shuffled" else own
    everything = [list(range(len(exam.samples)))] if way.is_setwise else pieces_of(exam.samples, PIECE)
    pieces = everything[work.shard.index - 1 :: work.shard.count]
    done = _whole_pieces(source, pieces, exam, work)
    _refuse_changed_pictures(done, exam, shown, hashes)
    total, count = sum(len(piece) for piece in pieces), len(done)
    for piece in pieces:
        if exam.samples[piece[0]].id in done:
            continue
        started = time.perf_counter()
        questions = [maker.make(exam.samples[place], shown[place]) for place in piece]
        report = _progress(exam.on_progress, source, count, total)
        replies = answer_in_turns(way, examinee, questions, maker.image_suffix, report)
        samples = [exam.samples[place] for place in piece]
        seen = [hashes.of(shown[place]) for place in piece]
        seed = SHUFFLE_SEED if source == "shuffled" else 0
        rows = to_predictions(samples, [reply.text for reply in replies], source, seen, seed)
        work.append(
            source,
            [
                replace(row, prompt=question.text, scores=dict(reply.scores), shots=question.shots)
                for row, question, reply in zip(rows, questions, replies, strict=True)
            ],
        )
        count += len(piece)
        _remember_seconds(work, source, started)
    logger.info("%s answered %d questions", source, count)


def _whole_pieces(source: str, pieces: Sequence[list[int]], exam: Exam, work: Workplace) -> dict[str, Prediction]:
    """Return the answers of the pieces that are whole on the disk; those of a piece that was cut off are dropped."""
    found = work.answered(source)
    whole: dict[str, Prediction] = {}
    for piece in pieces:
        names = [exam.samples[place].id for place in piece]
        if all(name in found for name in names):
            whole |= {name: found[name] for name in names}
    if len(whole) < len(found):
        work.keep_only(source, list(whole.values()))
    return whole


def _refuse_changed_pictures(
    done: Mapping[str, Prediction], exam: Exam, shown: Sequence[tuple[str, ...]], hashes: ImageHashes
) -> None:
    for sample, images in zip(exam.samples, shown, strict=True):
        if sample.id in done and done[sample.id].image_hashes != hashes.of(images):
            raise TaskError(
                f"The pictures of {sample.id} have changed since it was answered ({', '.join(images)}). Start anew "
                "with --no-resume, or bring the old pictures back."
            )


def _progress(report: Progress | None, source: str, before: int, total: int) -> Callable[[int, int], None] | None:
    return None if report is None else lambda answered, _: report(source, before + answered, total)


def _remember_seconds(work: Workplace, source: str, started: float) -> None:
    state = work.state()
    spent = state["seconds"].get(source, 0.0) + time.perf_counter() - started
    state["seconds"][source] = round(spent, 2)
    work.remember(state)
