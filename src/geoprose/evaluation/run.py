"""One evaluation: task, raw predictions on disk, scores with intervals, result and report."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError, TaskError
from geoprose.core.files import write_json
from geoprose.evaluation import provenance
from geoprose.evaluation.failing import failing_types
from geoprose.evaluation.predictions import Prediction, match_samples, predictions_path, read_predictions
from geoprose.evaluation.scoring import AnswerFormat, Scored, Scorer
from geoprose.evaluation.tasks import TaskSpec, load_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Sample
    from geoprose.data.readers.base import Reader
    from geoprose.evaluation.predict import Progress
    from geoprose.systems.build import System

logger = logging.getLogger(__name__)
RESULT_NAME = "result.json"
RUN_NAME = "run.json"
REPORT_NAME = "report.html"


@dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate.

    Attributes:
        limit: Answer only this many samples, chosen by a hash of their ids; None for all.
        is_rescore: Score the predictions already in the output directory; needs no model.
        blind: A system trained without pictures, answered as one more baseline.
        batch_size: Questions decoded together.
        supervision: What the system was trained with, in sentences, for the report; read from the system's run record
            when empty.
        on_progress: Called with (who answers, answered, total).
        has_report: Whether to write the HTML report.
    """

    limit: int | None = None
    is_rescore: bool = False
    blind: System | str | Path | None = None
    batch_size: int = 64
    supervision: tuple[str, ...] = ()
    on_progress: Progress | None = None
    has_report: bool = True


def evaluate(
    system: System | str | Path | None,
    task: str | TaskSpec,
    data_dir: Path,
    out_dir: Path,
    options: EvaluateOptions | None = None,
) -> dict[str, Any]:
    """Evaluate a system on a task and write predictions, ``result.json``, ``run.json`` and ``report.html``.

    Args:
        system: A system, the name of a preset or the directory of a saved one; may be None when rescoring.
        task: Name of a built-in task, path of a task's YAML, or the spec itself.
        data_dir: Dataset directory with the task's split file and the pictures.
        out_dir: Where everything is written.
        options: How to evaluate.

    Returns:
        The content of ``result.json``.

    Raises:
        TaskError: If the data holds no sample of the task, or the predictions do not fit the data.
    """
    options = options or EvaluateOptions()
    spec = task if isinstance(task, TaskSpec) else load_task(task)
    samples, skipped = _load_samples(spec, data_dir, options.limit)
    train = _read_train(spec, data_dir)
    if not options.is_rescore:
        _predict(system, spec, (samples, train), (data_dir, out_dir), options)
    run = _read_run(out_dir)
    predictions = _read_all(out_dir, samples, run)
    scorer = Scorer(spec, samples, train, _answer_format(run))
    scored = {source: scorer.judge(rows) for source, rows in predictions.items()}
    result = _result(scorer, scored, run, skipped)
    write_json(out_dir / RESULT_NAME, result)
    if options.has_report:
        from geoprose.evaluation.report.build import ReportInputs, write_report

        write_report(out_dir / REPORT_NAME, ReportInputs(spec, result, samples, predictions, scored, data_dir))
    return result


def _load_samples(spec: TaskSpec, data_dir: Path, limit: int | None) -> tuple[tuple[Sample, ...], dict[str, int]]:
    found = tuple(_reader(spec).read(data_dir, spec.split))
    kept = [sample for sample in found if sample.task in spec.types or spec.other is not None]
    if not kept:
        raise TaskError(
            f"Split {spec.split} of {data_dir} has no question of the types {', '.join(spec.types)} of task "
            f"{spec.name}. Give the folder of its data set."
        )
    skipped = Counter(sample.task for sample in found) - Counter(sample.task for sample in kept)
    return tuple(_limited(kept, limit)), dict(sorted(skipped.items()))


def _limited(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """Return ``limit`` samples in their order; the choice depends on the ids alone."""
    if limit is None or limit >= len(samples):
        return list(samples)
    if limit < 1:
        raise TaskError(f"--limit is {limit}; give at least 1.")
    chosen = set(sorted((hashlib.sha256(s.id.encode()).hexdigest(), s.id) for s in samples)[:limit])
    return [sample for sample in samples if (hashlib.sha256(sample.id.encode()).hexdigest(), sample.id) in chosen]


def _reader(spec: TaskSpec) -> Reader:
    from geoprose.data.readers.registry import build_reader

    return build_reader(spec.reader.type, spec.reader.options)


def _read_train(spec: TaskSpec, data_dir: Path) -> tuple[Sample, ...]:
    """Return the training samples; none where the data has no training split on disk."""
    reader = _reader(spec)
    if spec.train_split not in reader.splits:
        return ()
    try:
        return tuple(reader.read(data_dir, spec.train_split))
    except DataError as error:
        logger.warning("no training samples for the baselines: %s", error)
        return ()


def _predict(
    system: System | str | Path | None,
    spec: TaskSpec,
    samples: tuple[tuple[Sample, ...], tuple[Sample, ...]],
    dirs: tuple[Path, Path],
    options: EvaluateOptions,
) -> None:
    from geoprose.evaluation.predict import Exam, predict_all

    if system is None:
        raise TaskError(
            "No system is given. Name one, or pass --rescore to score predictions that are already written."
        )
    loaded = _load(system)
    blind = None if options.blind is None else _load(options.blind)
    data_dir, out_dir = dirs
    for stale in (
        RUN_NAME,
        RESULT_NAME,
        REPORT_NAME,
    ):  # an interrupted run must not leave old scores beside new answers
        (out_dir / stale).unlink(missing_ok=True)
    exam = Exam(spec, *samples, data_dir, options.batch_size, options.on_progress)
    seconds = predict_all(loaded, exam, out_dir, blind)
    write_json(out_dir / RUN_NAME, _run_record(system, loaded, exam, options, seconds))


def _load(system: System | str | Path) -> System:
    if isinstance(system, (str, Path)):
        from geoprose.systems.load import load_answering_system

        return load_answering_system(system)
    return system


def _run_record(
    named: System | str | Path, system: System, exam: Any, options: EvaluateOptions, seconds: dict[str, float]
) -> dict[str, Any]:
    """Return everything that scoring and the report need to know about the prediction run."""
    from geoprose.evaluation.supervision import describe_supervision

    where = str(named) if isinstance(named, (str, Path)) else system.spec.name
    return {
        "task": exam.task.model_dump(mode="json"),
        "task_sha256": exam.task.content_hash(),
        "system": {
            "name": system.spec.name,
            "path": Path(where).name,
            "spec_sha256": system.spec.content_hash(),
            "box_codec": system.spec.box_format,
            "resize": {
                "mode": getattr(system.spec.resolution, "mode", "resize"),
                "size_px": system.spec.resolution.image_size,
            },
            "parameters": sum(parameter.numel() for parameter in system.model.parameters()),
            "supervision": list(options.supervision) or describe_supervision(Path(where)),
        },
        "sources": list(seconds),
        "seconds": seconds,
        "decoding": {"strategy": "greedy", "dtype": "float32", "max_new_tokens": exam.task.max_new_tokens},
        "batch_size": options.batch_size,
        "limit": options.limit,
        "seeds": {"shuffle": 0, "bootstrap": 0, "baselines": 0},
        "data_sha256": provenance.data_hashes(
            exam.data_dir, (f"{exam.task.split}.jsonl", f"{exam.task.train_split}.jsonl")
        ),
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(),
        "hardware": provenance.hardware(),
        "peak_memory_mib": round(provenance.peak_memory_mib(), 1),
    }


def _read_run(out_dir: Path) -> dict[str, Any]:
    path = out_dir / RUN_NAME
    try:
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return run
    except (OSError, ValueError) as error:
        raise TaskError(
            f"{path} cannot be read ({error}), so there is nothing to score. Evaluate without --rescore."
        ) from error


def _answer_format(run: dict[str, Any]) -> AnswerFormat:
    system = run["system"]
    return AnswerFormat(system["box_codec"], system["resize"]["mode"], system["resize"]["size_px"])


def _read_all(out_dir: Path, samples: Sequence[Sample], run: dict[str, Any]) -> dict[str, list[Prediction]]:
    return {
        source: match_samples(read_predictions(predictions_path(out_dir, source)), samples) for source in run["sources"]
    }


def _result(scorer: Scorer, scored: dict[str, Scored], run: dict[str, Any], skipped: dict[str, int]) -> dict[str, Any]:
    system = scored["system"]
    report = scorer.report(system)
    others = {source: rows for source, rows in scored.items() if source != "system"}
    report["baselines"] = {source: scorer.report(rows) for source, rows in others.items()}
    differences = {source: scorer.difference(system, rows) for source, rows in others.items()}
    return {
        "task": scorer.task.name,
        "system": run["system"],
        **report,
        "differences": differences,
        "failing_types": failing_types(report, differences, scorer.samples, system),
        "overall_types": list(scorer.task.overall or scorer.types),
        "images": len({image for sample in scorer.samples for image in sample.images}),
        "skipped_types": skipped,
        **{key: run[key] for key in ("seconds", "decoding", "limit", "seeds", "data_sha256", "versions", "git_commit")},
        **{key: run[key] for key in ("hardware", "peak_memory_mib", "task_sha256")},
    }
