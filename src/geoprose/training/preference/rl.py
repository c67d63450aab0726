"""A stage that samples answers and learns from their rewards, run by TRL with our model, processor and rewards."""

from __future__ import annotations

import copy
import logging
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, TrainerCallback

from geoprose.core.errors import ConfigError, ResourceError, TrainingError
from geoprose.training.checkpoints.state import StepReport
from geoprose.training.logs.progress import RunLog, display
from geoprose.training.optimiser import build_optimiser, build_scheduler
from geoprose.training.preference.rl_data import INDEX, Questions, check_questions, reward_functions
from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.training.freeze import FreezeReport
    from geoprose.training.logs.progress import Display
    from geoprose.training.session import Session
    from geoprose.training.specs.rewards import PolicySpec
    from geoprose.training.specs.stage import StageSpec

logger = logging.getLogger(__name__)

_LOGGED = ("reward", "reward_std", "kl", "completions/mean_length", "completions/clipped_ratio", "frac_reward_zero_std")


def train_policy(session: Session, index: int, report: FreezeReport) -> dict[str, Any]:
    """Train a stage that has a ``policy`` and return its summary.

    Such a stage writes no checkpoints (TRL's hold pickles): one that was stopped starts from its beginning again.

    Raises:
        ConfigError: If several processes train, or a picture becomes more than one tile.
        DataError: If a sample lacks what a reward compares with.
        ResourceError: If TRL is not installed.
        TrainingError: If the loss is not finite.
    """
    stage = session.recipe.stages[index]
    policy = stage.policy
    assert policy is not None
    if distributed.world_size() > 1:
        raise ConfigError(f"Stage {stage.name} samples answers in one process; start it without torchrun.")
    spec = session.system.spec
    if spec.kind != "composite" or spec.resolution.type != "fixed":
        raise ConfigError(
            f"Stage {stage.name}: TRL hands on pixels alone, so a policy stage trains composites that make one tile of "
            f"a picture (resolution fixed); {spec.name} does not."
        )
    questions = _questions(session, stage)
    check_questions(questions, policy.rewards)
    folder = session.stage_folder(index)
    if (folder / "log.jsonl").exists():
        logger.warning("stage %s was stopped before its end; it starts from its beginning again", stage.name)
    log = RunLog(folder, stage.name, 0)
    model = session.system.model
    try:
        with _as_it_was(model), display(f"stage {stage.name}", stage.steps) as shown:
            watcher = _Watcher(session, stage, log, shown)
            trainer = _trainer(session, index, questions, watcher)
            trainer.train()
            done = int(trainer.state.global_step)
    finally:
        log.close()
    if done < stage.steps:
        session.check_stop()
    return {
        "name": stage.name,
        "steps": done,
        "last_loss": watcher.last.get("loss"),
        "last_reward": watcher.last.get("reward"),
        "tokens": int(watcher.last.get("num_tokens", 0)),
        "skipped_steps": 0,
        "num_trainable": report.num_trainable,
        "trains": report.modules,
        "units": len(questions.samples),
        "epochs": stage.steps * stage.accumulation * stage.batch_size / len(questions.samples),
    }


def _questions(session: Session, stage: StageSpec) -> Questions:
    sources = session.sources[stage.name]
    pairs = [(sample, source.root) for source in sources for sample in source.samples]
    return Questions(session.system, [sample for sample, _ in pairs], [root for _, root in pairs])


def _trainer(session: Session, index: int, questions: Questions, watcher: _Watcher) -> Any:
    try:
        import trl
        from datasets import Dataset
        from trl.trainer.utils import add_fused_lm_head
    except ImportError as error:
        raise ResourceError(f"A stage with a policy needs TRL: pip install 'geoprose[rl]' ({error}).") from error
    stage, model = session.recipe.stages[index], session.system.model
    policy = stage.policy
    assert policy is not None
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimiser = build_optimiser(named, stage)
    reference = copy.deepcopy(model).requires_grad_(False).eval() if policy.kl_weight else None
    rows = Dataset.from_dict({INDEX: list(range(len(questions.samples)))}).with_transform(questions.rows)
    kinds = {"grpo": (trl.GRPOTrainer, trl.GRPOConfig), "rloo": (trl.RLOOTrainer, trl.RLOOConfig)}
    trainer_class, config_class = kinds[policy.method]
    trainer = _reading_pixels_only(trainer_class)(
        model=model,
        reward_funcs=reward_functions(policy.rewards, questions),
        args=config_class(**_arguments(session, index)),
        train_dataset=rows,
        processing_class=session.system.processor,
        callbacks=[watcher],
        optimizers=(optimiser, build_scheduler(optimiser, stage)),
    )
    trainer.remove_callback(PrinterCallback)
    if reference is not None:
        # Why not TRL's beta: it reads the reference from a saved path, by the name of a class of transformers.
        add_fused_lm_head(reference, temperature=policy.temperature)
        trainer.ref_model, trainer.beta = reference.to(model.device), policy.kl_weight
    return trainer


def _reading_pixels_only(trainer_class: Any) -> Any:
    """Return TRL's trainer without the inputs it cannot hand on by name; pictures of one tile need none of them."""

    class Pixels(trainer_class):  # type: ignore[misc] # chosen at run time
        def _get_per_token_logps_and_entropies(self, *args: Any, visual_layouts: Any = None, **kwargs: Any) -> Any:
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)

    return Pixels


def _arguments(session: Session, index: int) -> dict[str, Any]:
    stage, seed = session.recipe.stages[index], session.recipe.stage_seed(index)
    policy: PolicySpec = stage.policy  # type: ignore[assignment] # the caller looked
    folder: Path = session.stage_folder(index)
    banned = [session.system.model.config.image_token_id, session.system.processor.mark_id]
    banned += session.system.model.generation_config.suppress_tokens or []
    own = {"loss_type": policy.loss} if policy.method == "grpo" else {}
    return {
        "output_dir": str(folder / "trl"),
        "max_steps": stage.steps,
        "per_device_train_batch_size": stage.batch_size * policy.num_generations,
        "gradient_accumulation_steps": stage.accumulation,
        "max_grad_norm": stage.optimiser.max_grad_norm,
        "gradient_checkpointing": stage.gradient_checkpointing,
        "num_generations": policy.num_generations,
        "max_completion_length": policy.max_new_tokens,
        "temperature": policy.temperature,
        "top_p": policy.top_p,
        "epsilon": policy.clip,
        "beta": 0.0,
        "reward_weights": [spec.weight for spec in policy.rewards],
        "generation_kwargs": {"suppress_tokens": sorted(set(banned))},
        "logging_strategy": "steps",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "log_level": "error",
        "seed": seed,
        "bf16": False,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
        **own,
    }


@contextmanager
def _as_it_was(model: Any) -> Iterator[None]:
    """Take back what TRL and Trainer change about a model beside its weights: forward pass, settings, mode."""
    config, generation = copy.deepcopy(model.config), copy.deepcopy(model.generation_config)
    try:
        yield
    finally:
        vars(model).pop("forward", None)
        for kept, now in ((config, model.config), (generation, model.generation_config)):
            vars(now).clear()
            vars(now).update(vars(kept))


class _Watcher(TrainerCallback):  # type: ignore[misc] # transformers is not typed here
    """Writes the log, shows progress, stops at a signal and at a loss that is no number."""

    def __init__(self, session: Session, stage: StageSpec, log: RunLog, shown: Display) -> None:
        self.last: dict[str, float] = {}
        self._session, self._stage, self._log, self._shown = session, stage, log, shown
        self._clock = (time.monotonic(), 0.0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by transformers after the optimiser step."""
        if self._session.stop:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Called by transformers with the figures of a step."""
        if logs is None or "reward" not in logs:
            return
        self.last = dict(logs)
        if not all(math.isfinite(logs.get(name, 0.0)) for name in ("loss", "grad_norm")):
            raise TrainingError(
                f"Stage {self._stage.name}: the loss or gradient of step {state.global_step} is not finite. Lower the "
                "learning rate, then run again with a new --out folder."
            )
        self._shown.update(state.global_step, f"reward {logs['reward']:.4f}")
        if state.global_step % self._stage.log_every == 0 or state.global_step == self._stage.steps:
            self._log.write(self._report(state.global_step, logs))

    def _report(self, step: int, logs: dict[str, float]) -> StepReport:
        (then, before), now, tokens = self._clock, time.monotonic(), logs.get("num_tokens", 0.0)
        self._clock = (now, tokens)
        names = [name for name in logs if name in _LOGGED or (name.startswith("rewards/") and name.endswith("/mean"))]
        return StepReport(
            step=step,
            num_steps=self._stage.steps,
            loss=logs.get("loss"),
            parts={name: float(logs[name]) for name in names},
            learning_rate=float(logs.get("learning_rate", 0.0)),
            grad_norm=logs.get("grad_norm"),
            tokens=int(tokens),
            tokens_per_second=(tokens - before) / max(now - then, 1e-9),
        )
