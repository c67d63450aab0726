"""Build preference data: sample answers, judge them by the task's metric, pair the best with the worst."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.core.files import write_json
from geoprose.core.version import __version__
from geoprose.data.card import CARD_NAME, DataCard, DataSource, describe_samples, hash_files, read_card
from geoprose.data.neutral import write_samples
from geoprose.data.preferences import make_pair
from geoprose.evaluation.answering.questions import QuestionMaker
from geoprose.evaluation.predict import Exam, in_float32
from geoprose.evaluation.predictions import ImageHashes, to_predictions
from geoprose.evaluation.prefer.choose import choose
from geoprose.evaluation.prefer.sampled import SampledAnswers
from geoprose.evaluation.run_record import load_for_evaluation
from geoprose.evaluation.run_samples import read_sample_set
from geoprose.evaluation.scoring import AnswerFormat, Scorer
from geoprose.evaluation.tasks import TaskSpec, load_task
from geoprose.inference.generate import Request
from geoprose.inference.sample import Sampling
from geoprose.inference.shared_prefix import messages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.run_record import LoadedSystem
    from geoprose.evaluation.run_samples import SampleSet
    from geoprose.systems.build import System


@dataclass(frozen=True)
class PreferOptions:
    """How preference data is built.

    Attributes:
        sampling: How answers are drawn; the task's ``max_new_tokens`` counts.
        seed: Of the sampling.
        split: Split whose questions are asked; never the one that is evaluated on.
        limit: Ask only about so many samples, chosen by a hash of their ids.
        min_gap: Scores of a pair must differ by more.
        on_progress: Called with (answered, total).
    """

    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    split: str = "train"
    limit: int | None = None
    min_gap: float = 0.0
    on_progress: Callable[[int, int], None] | None = None


def build_preferences(
    system: LoadedSystem | System[Any] | str | Path,
    task: TaskSpec | str | Path,
    data_dir: Path,
    out: Path,
    options: PreferOptions | None = None,
) -> dict[str, Any]:
    """Write preference records and return their card.

    Beside ``out`` lie ``NAME.answers.jsonl`` (every sampled answer; a run that was stopped goes on from it) and
    ``NAME.card.json``. The same call gives the same files.

    Args:
        system: Who answers.
        task: The questions and how answers are judged.
        data_dir: Data set of the task.
        out: File of the records (JSON lines); paths of pictures are relative to its folder.
        options: How.

    Raises:
        TaskError: If the task's answers are not written freely, or no question gives a pair.
        DataError: If ``NAME.answers.jsonl`` holds another run.
    """
    options = options or PreferOptions()
    spec = _checked(task if isinstance(task, TaskSpec) else load_task(task), options)
    loaded = load_for_evaluation(system)
    samples = read_sample_set(spec, data_dir, options.limit)
    requests = _requests(spec, samples, data_dir, loaded)
    sampling = Sampling(**{**asdict(options.sampling), "max_new_tokens": spec.max_new_tokens})
    plan = {
        "task": spec.answering_part(),
        "system": {"name": loaded.system.spec.name, "sha256": loaded.sha256},
        "data_sha256": samples.sha256(),
        "sampling": asdict(sampling),
        "seed": options.seed,
    }
    sampled = SampledAnswers(out.with_suffix(".answers.jsonl"), plan)
    with in_float32(loaded.system):
        sampled.fill(loaded.system, requests, sampling, options.seed, options.on_progress)
    scores = _judge(spec, samples, data_dir, loaded, sampled.answers)
    pairs, counts = _pairs(samples.asked, requests, sampled.answers, scores, (loaded, out, options))
    if not pairs:
        raise TaskError(
            f"No question gives a pair ({dict(counts)}). Sample more answers, at a higher temperature, or ask a better "
            "system."
        )
    write_samples(pairs, out)
    card = _card(pairs, counts, (spec, data_dir, out), {**plan, "min_gap": options.min_gap, "split": options.split})
    write_json(out.with_suffix(".card.json"), card)
    return card


def _checked(task: TaskSpec, options: PreferOptions) -> TaskSpec:
    if task.answering != "generate" or task.prompt.is_multi_turn:
        raise TaskError(
            f"Task {task.name} has no freely written answers to single questions ({task.answering}), so there is "
            "nothing to sample. Take a task that generates."
        )
    return task.model_copy(update={"split": options.split})


def _requests(task: TaskSpec, samples: SampleSet, data_dir: Path, loaded: LoadedSystem) -> dict[str, Request]:
    exam = Exam(task, samples.asked, samples.train, data_dir)
    maker = QuestionMaker(exam.material(ImageHashes(data_dir)), loaded.system)
    questions = [maker.make(sample, sample.images) for sample in samples.asked]
    return {q.sample.id: Request(q.images, q.text, q.history) for q in questions}


def _judge(
    task: TaskSpec, samples: SampleSet, data_dir: Path, loaded: LoadedSystem, answers: Mapping[str, Sequence[str]]
) -> dict[str, list[float]]:
    """Return the score of every answer of every question, by the task's default variant."""
    spec = loaded.system.spec
    mode: Any = getattr(spec.resolution, "mode", "resize")
    answer_format = AnswerFormat(spec.box_format, mode, spec.resolution.image_size)
    scorer = Scorer(task, samples.asked, samples.train, answer_format, data_dir)
    scores: dict[str, list[float]] = {sample.id: [] for sample in samples.asked}
    hashes: list[tuple[str, ...]] = [()] * len(samples.asked)
    for place in range(min(len(texts) for texts in answers.values())):
        texts = [answers[sample.id][place] for sample in samples.asked]
        # Why "previous": a system's answers, of which only the default variant is judged.
        judged = scorer.judge(to_predictions(samples.asked, texts, "previous", hashes))
        for sample, score in zip(samples.asked, judged.scores, strict=True):
            scores[sample.id].append(score)
    return scores


def _pairs(
    asked: Sequence[Sample],
    requests: Mapping[str, Request],
    answers: Mapping[str, Sequence[str]],
    scores: Mapping[str, Sequence[float]],
    context: tuple[LoadedSystem, Path, PreferOptions],
) -> tuple[list[Sample], Counter[str]]:
    loaded, out, options = context
    counts: Counter[str] = Counter(pair=0, tie=0, all_bad=0)
    pairs = []
    for sample in asked:
        texts, values = answers[sample.id], scores[sample.id]
        choice = choose(texts, values, options.min_gap)
        counts[choice.outcome] += 1
        if choice.outcome != "pair":
            continue
        request = requests[sample.id]
        images = tuple(os.path.relpath(str(image), str(out.parent)) for image in request.images)
        shown = replace(
            sample,
            images=images,
            messages=messages_of(loaded.system, request),
            split="train",
            georefs=sample.georefs if len(images) == len(sample.images) else (),
        )
        found = {"chosen_score": values[choice.chosen], "rejected_score": values[choice.rejected]}
        mean = sum(values) / len(values)
        pairs.append(
            make_pair(shown, texts[choice.chosen], texts[choice.rejected], {"prefer": {**found, "mean_score": mean}})
        )
    return pairs, counts


def _card(
    pairs: Sequence[Sample], counts: Mapping[str, int], places: tuple[TaskSpec, Path, Path], how: dict[str, Any]
) -> dict[str, Any]:
    task, data_dir, out = places
    source = read_card(data_dir / CARD_NAME) if (data_dir / CARD_NAME).is_file() else {}
    licence = str(source.get("licence", "unknown: that of the pictures and questions"))
    name = str(source.get("name", data_dir.name))
    system = how["system"]
    card = DataCard(
        name=out.stem,
        licence=licence,
        builder=f"geoprose {__version__}",
        description=(
            f"Answers of {system['name']} to {sum(counts.values())} questions of task {task.name}; the best of each "
            "question's answers is preferred to the worst."
        ),
        sources=[
            DataSource(name=name, licence=licence, sha256=how["data_sha256"]),
            DataSource(name=system["name"], licence="that of the system", sha256=system["sha256"]),
        ],
        split=f"questions of the {how['split']} split",
        files=hash_files(out.parent, [out, out.with_suffix(".answers.jsonl")]),
        **describe_samples({"train": pairs}),
    )
    return {**card.model_dump(mode="json"), "preferences": {**how, "questions": dict(counts)}}
