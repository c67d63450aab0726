"""One evaluation: task, raw predictions on disk, scores with intervals, result and report."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.core.files import write_json
from geoprose.evaluation.failing import failing_types
from geoprose.evaluation.locking import hold, hold_shard
from geoprose.evaluation.outcomes import write_judgements
from geoprose.evaluation.predictions import Prediction, match_samples, predictions_path, read_predictions
from geoprose.evaluation.resume import PREVIOUS, RUN_NAME, Workplace
from geoprose.evaluation.run_options import EvaluateOptions
from geoprose.evaluation.run_record import joined_record, load_for_evaluation, make_plan, run_record
from geoprose.evaluation.run_samples import SampleSet, read_sample_set
from geoprose.evaluation.score.pictures import Pictures
from geoprose.evaluation.scoring import AnswerFormat, Scored, Scorer
from geoprose.evaluation.tasks import TaskSpec, load_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.run_record import LoadedSystem
    from geoprose.systems.build import System

__all__ = ["EvaluateOptions", "evaluate"]

logger = logging.getLogger(__name__)
RESULT_NAME = "result.json"
REPORT_NAME = "report.html"
MERGE_WAIT_S = 600


def evaluate(
    system: LoadedSystem | System[Any] | str | Path | None,
    task: str | TaskSpec,
    data_dir: Path,
    out_dir: Path,
    options: EvaluateOptions | None = None,
) -> dict[str, Any]:
    """Evaluate a system on a task and write predictions, ``result.json``, ``run.json`` and ``report.html``.

    A run that was interrupted goes on where it stopped, and gives the same predictions as one that was not.

    Args:
        system: A system, the name of a preset or the directory of a saved one; may be None when rescoring or merging.
        task: Name of a built-in task, path of a task's YAML, or the spec itself.
        data_dir: Dataset directory with the task's split file and the pictures.
        out_dir: Where everything is written.
        options: How to evaluate.

    Returns:
        The content of ``result.json``; of a shard that other shards are still missing for: ``task``, ``shard`` and
        ``waiting_for``.

    Raises:
        TaskError: If the data holds no sample of the task, the predictions do not fit the data, the system cannot
            answer in the task's way, the folder holds another run, or another process works in it.
    """
    options = options or EvaluateOptions()
    spec = options.task(task if isinstance(task, TaskSpec) else load_task(task))
    samples = read_sample_set(spec, data_dir, options.limit)
    if options.is_merge:
        _merge(out_dir, samples)
    elif not options.is_rescore:
        with hold_shard(out_dir, options.shard):
            waiting = _predict(system, spec, samples, (data_dir, out_dir), options)
        if waiting:
            return {"task": spec.name, "shard": options.shard.label, "waiting_for": waiting}
    if options.previous is not None:
        _adopt_previous(options.previous, out_dir, samples.asked)
    return _score(spec, samples, (data_dir, out_dir), options.has_report)


def _predict(
    system: LoadedSystem | System[Any] | str | Path | None,
    spec: TaskSpec,
    samples: SampleSet,
    dirs: tuple[Path, Path],
    options: EvaluateOptions,
) -> list[int]:
    """Answer this shard's part; return the shards that are still missing, none when the run is whole."""
    from geoprose.evaluation.answering.base import Examinee
    from geoprose.evaluation.answering.questions import rendered_example
    from geoprose.evaluation.predict import Exam, planned_sources, predict_all

    if system is None:
        raise TaskError(
            "No system is given. Name one, or pass --rescore to score predictions that are already written."
        )
    loaded = load_for_evaluation(system)
    blind = None if options.blind is None else load_for_evaluation(options.blind)
    data_dir, out_dir = dirs
    exam = Exam(spec, samples.asked, samples.train, data_dir, options.batch_size, options.on_progress)
    work = Workplace(out_dir, options.shard)
    plan = make_plan(exam, samples, (loaded, blind), options.shard, options.limit)
    work.begin(plan, options.is_resume)
    sources = planned_sources(exam, has_blind=blind is not None)
    if work.is_whole(sources):
        work.close()
        return []
    size = (spec.max_new_tokens, options.batch_size)
    examinees = {"system": Examinee(loaded.system, *size)}
    if blind is not None:
        examinees["blind"] = Examinee(blind.system, *size, is_blind=True)
    left_out = predict_all(exam, examinees, work)
    record = run_record(loaded, exam, options) | work.state()
    record["rendered_example"] = rendered_example(exam.material(), loaded.system)
    work.write_record(record | {"plan": plan, "sources": sources, "left_out": left_out})
    return _join(work, samples.asked)


def _merge(out_dir: Path, samples: SampleSet) -> None:
    """Put the shards in ``out_dir`` together; a run that is whole already is left as it is.

    Raises:
        TaskError: If a shard is missing.
    """
    work = Workplace.of_shards(out_dir)
    if work is None:
        if (out_dir / RUN_NAME).is_file():
            return
        raise TaskError(f"{out_dir} holds no shards to merge. Run `geoprose evaluate ... --shard 1/N` first.")
    if waiting := _join(work, samples.asked):
        raise TaskError(f"{out_dir} lacks shard {', '.join(map(str, waiting))} of {work.shard.count}. Run them.")


def _join(work: Workplace, samples: Sequence[Sample]) -> list[int]:
    """Put the answers of all shards into place and write ``run.json``; return the shards that are still missing."""
    with hold(work.out_dir, "merge", wait_s=MERGE_WAIT_S):
        if work.is_merged():  # by a shard that finished at the same time
            return []
        records = work.records()
        waiting = [place for place in range(1, work.shard.count + 1) if place not in records]
        if waiting:
            return waiting
        run = joined_record(records)
        for source in run["sources"]:
            if not work.is_done(source):
                work.finish(source, samples)
        write_json(work.out_dir / RUN_NAME, run)
        work.close()
    return []


def _adopt_previous(folder: Path, out_dir: Path, samples: Sequence[Sample]) -> None:
    """Copy the system's answers of an earlier run as the baseline ``previous``."""
    from dataclasses import replace

    from geoprose.evaluation.predictions import write_predictions

    earlier = _read_run(folder)
    rows = match_samples(read_predictions(predictions_path(folder, "system")), samples)
    write_predictions(predictions_path(out_dir, PREVIOUS), [replace(row, source=PREVIOUS) for row in rows])
    run = _read_run(out_dir)
    sources = [*(source for source in run["sources"] if source != PREVIOUS), PREVIOUS]
    write_json(out_dir / RUN_NAME, run | {"sources": sources, PREVIOUS: earlier["system"]})


def _score(spec: TaskSpec, samples: SampleSet, dirs: tuple[Path, Path], has_report: bool) -> dict[str, Any]:
    """Score what is on the disk and write result, judgements and report."""
    from geoprose.evaluation.report.build import ReportInputs, write_report

    data_dir, out_dir = dirs
    run = _read_run(out_dir)
    predictions = _read_all(out_dir, samples.asked, run)
    scorer = Scorer(spec, samples.asked, samples.train, _answer_format(run["system"]), root=data_dir)
    formats = {PREVIOUS: _answer_format(run[PREVIOUS])} if PREVIOUS in run else {}
    scored = {source: scorer.judge(rows, formats.get(source)) for source, rows in predictions.items()}
    result = _result(scorer, scored, run, samples.skipped)
    write_json(out_dir / RESULT_NAME, result)
    write_judgements(out_dir, samples.asked, scored["system"])
    if has_report:
        inputs = ReportInputs(spec, result, samples.asked, predictions, scored, data_dir)
        write_report(out_dir / REPORT_NAME, inputs)
    return result


def _read_run(out_dir: Path) -> dict[str, Any]:
    path = out_dir / RUN_NAME
    try:
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return run
    except (OSError, ValueError) as error:
        raise TaskError(
            f"{path} cannot be read ({error}), so there is nothing to score. Evaluate without --rescore."
        ) from error


def _answer_format(system: Mapping[str, Any]) -> AnswerFormat | None:
    if system["box_codec"] is None:
        return None
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
    pictures = Pictures()
    for image in (image for sample in scorer.samples for image in sample.images):
        pictures.add(image)
    kept = ("seconds", "decoding", "limit", "seeds", "data_sha256", "versions", "git_commit", "hardware")
    return {
        "task": scorer.task.name,
        "system": run["system"],
        **report,
        "differences": differences,
        "failing_types": failing_types(report, differences, scorer.samples, system),
        "overall_types": list(scorer.task.overall or scorer.types),
        "images": len(pictures.names),
        "image_list_sha256": pictures.list_hash(),
        "skipped_types": skipped,
        "left_out": run.get("left_out", {}),
        **{key: run[key] for key in (*kept, "peak_memory_mib", "task_sha256")},
    }
