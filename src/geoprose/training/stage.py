"""Run one stage: freeze, prepare, train or read back, merge."""

from __future__ import annotations

import json
import logging
import shutil
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from geoprose.core.errors import TrainingError
from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.checkpoints.state import StepReport, load_trained_tensors, trained_tensors
from geoprose.training.init_from import DONE, STAGE_WEIGHTS, start_from
from geoprose.training.initialise import prepare
from geoprose.training.logs.progress import Display, RunLog, display
from geoprose.training.logs.trackers import TrackedRun, open_trackers
from geoprose.training.losses import LOSSES
from geoprose.training.losses.base import LossContext
from geoprose.training.preference.rl import train_policy
from geoprose.training.processes import distributed
from geoprose.training.rows.batches import StageBatches, build_mixture, sources_that_fit
from geoprose.training.session import Session, enter_stage, leave_stage
from geoprose.training.trainer import StageTrainer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.training.freeze import FreezeReport
    from geoprose.training.losses.base import StageLoss
    from geoprose.training.pictures.vision import Vision
    from geoprose.training.rows.batches import LoadedSource

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
_SUMMARY = "stage.json"


def run_stage(session: Session, index: int) -> dict[str, Any]:
    """Bring the session's system to the end of stage ``index`` and return the stage's summary.

    A finished stage is read back instead of trained; an unfinished one goes on from its newest whole checkpoint.
    """
    stage, model = session.recipe.stages[index], session.system.model
    folder = session.stage_folder(index)
    if stage.init_from:
        start_from(model, stage.init_from)
    report = enter_stage(model, stage, session.recipe.stage_seed(index))
    logger.info("stage %s trains %s", stage.name, report.summary())
    summary = _finished(folder / DONE)
    if stage.prepare or (summary is None and stage.policy is None):
        vision = session.vision(index)
        seed = session.recipe.stage_seed(index)
        keys = session.visual_keys(index) if stage.prepare else []
        prepare(session.system, stage.prepare, vision.store, keys, seed)
    if summary is None:
        is_policy = stage.policy is not None
        summary = train_policy(session, index, report) if is_policy else _train(session, index, vision, report)
        if distributed.is_main():
            with checkpoints.atomic_folder(folder / DONE) as done:
                checkpoints.write_tensors(done / STAGE_WEIGHTS, trained_tensors(model))
                (done / _SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        distributed.barrier()
    else:
        load_trained_tensors(model, checkpoints.read_tensors(folder / DONE / STAGE_WEIGHTS))
    leave_stage(model, stage)
    return summary


def make_losses(session: Session, index: int, sources: Sequence[LoadedSource]) -> list[StageLoss]:
    """Build the losses of a stage from the registry, for the samples that it trains on."""
    stage = session.recipe.stages[index]
    samples = [(str(source.root), source.samples) for source in sources]
    seed, folder = session.recipe.stage_seed(index), session.stage_folder(index)
    context = LossContext(session.system, samples, seed, session.stage_teacher(index), folder)
    return [LOSSES.get(spec.type)(spec, context) for spec in stage.losses]


def _finished(done: Path) -> dict[str, Any] | None:
    if not done.exists():
        return None
    problem = checkpoints.damage(done)
    if problem is not None:
        raise TrainingError(
            f"The finished stage in {done} is damaged: {problem}. Delete that folder to train it again."
        )
    summary: dict[str, Any] = json.loads((done / _SUMMARY).read_text())
    return summary


def _train(session: Session, index: int, vision: Vision, report: FreezeReport) -> dict[str, Any]:
    stage, folder = session.recipe.stages[index], session.stage_folder(index)
    seed = session.recipe.stage_seed(index)
    sources, too_long = sources_that_fit(stage, session.system, vision, session.sources[stage.name])
    losses = make_losses(session, index, sources)
    mixture = build_mixture(stage, sources, seed)
    batches = StageBatches(stage, session.system, mixture, vision, losses)
    trainer = StageTrainer(session.system.model, stage, seed, batches, losses, folder / CHECKPOINTS)
    trainer.keep_checkpoints = session.recipe.keep_checkpoints
    trainer.sharding = session.recipe.sharding
    if distributed.is_main():
        checkpoints.sweep_orphans(folder / CHECKPOINTS)
    newest = checkpoints.latest_checkpoint(folder / CHECKPOINTS)
    first_step = int(newest.name.rpartition("-")[2]) if newest else 0
    log = _open_log(session, index, first_step) if distributed.is_main() else None
    try:
        with distributed.main_first():
            for loss in losses:
                loss.begin(session.system.model, batches)
        with display(f"stage {stage.name}", stage.steps if log else 0, first_step) as shown:
            _connect(trainer, session, shown, log)
            trainer.train(resume_from_checkpoint=str(newest) if newest else None)
            trainer.finish()
    finally:
        if log is not None:
            log.close()
    if trainer.state.global_step < stage.steps:
        session.check_stop(together=True)
    for loss in losses:
        loss.end()
    summary = _summary(trainer, report, len(mixture), batches.plan.batches_per_epoch)
    return summary if too_long is None else {**summary, "too_long": too_long.to_dict()}


def _open_log(session: Session, index: int, first_step: int) -> RunLog:
    recipe, stage, folder = session.recipe, session.recipe.stages[index], session.stage_folder(index)
    run = TrackedRun(f"{recipe.name}-{stage.name}", folder, recipe.model_dump(mode="json"))
    return RunLog(folder, stage.name, first_step, open_trackers(recipe.trackers, run))


def _summary(trainer: StageTrainer, report: FreezeReport, num_units: int, batches_per_epoch: int) -> dict[str, Any]:
    stage = trainer.stage
    return {
        "name": stage.name,
        "steps": trainer.state.global_step,
        "last_loss": trainer.last_loss,
        "tokens": trainer.meter.tokens,
        "skipped_steps": trainer.meter.skipped,
        "num_trainable": report.num_trainable,
        "trains": report.modules,
        "units": num_units,
        "epochs": stage.steps * stage.accumulation * distributed.world_size() / batches_per_epoch,
    }


def _connect(trainer: StageTrainer, session: Session, shown: Display, log: RunLog | None) -> None:
    notes = [""]

    def on_report(report: StepReport) -> None:
        if log is not None:
            log.write(report)
        loss = "skipped" if report.loss is None else f"{report.loss:.4f}"
        notes[0] = f"loss {loss}, {report.tokens_per_second:,.0f} tokens/s"
        shown.update(report.step, notes[0])

    trainer.on_report = on_report
    trainer.on_step = lambda step: shown.update(step, notes[0])
    trainer.should_stop = lambda: bool(session.stop)
    trainer.add_callback(_StepEnd(trainer))


class _StepEnd(TrainerCallback):  # type: ignore[misc] # transformers is not typed here
    """Counts the step, and turns a signal into a checkpoint and the end of the loop."""

    def __init__(self, trainer: StageTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by transformers after the optimiser step."""
        self._trainer.finish_step()
        is_last = state.global_step >= state.max_steps
        if distributed.any_rank(self._trainer.should_stop()) and not is_last:
            control.should_save = control.should_training_stop = True
            return
        # The finished stage is written instead; amid bad steps the checkpoint before them is the good one.
        is_due = state.global_step % self._trainer.stage.save_every == 0
        control.should_save = is_due and not is_last and not self._trainer.meter.bad_steps
