"""The one engine: transformers.Trainer with our losses, our order, our checkpoints."""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments

from geoprose.core.errors import ConfigError, TrainingError
from geoprose.training import checkpoint as checkpoints
from geoprose.training.forward import Forward
from geoprose.training.optimiser import (
    LOSS_PREFIX,
    build_optimiser,
    build_scheduler,
    optimiser_tensors,
    restore_optimiser,
)
from geoprose.training.random_state import load_random_state, save_random_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geoprose.training.losses.base import StageLoss
    from geoprose.training.specs.stage import StageSpec
from geoprose.training.state import Meter, StepReport, load_trained_tensors, trained_tensors

logger = logging.getLogger(__name__)

MAX_BAD_STEPS = 3
_STATE = "trainer_state.json"
_WEIGHTS, _OPTIMISER, _METER = "weights.safetensors", "optimiser.safetensors", "meter.json"


class StageTrainer(Trainer):  # type: ignore[misc] # transformers is not typed here
    """Trains one stage.

    Args:
        model: Composite whose trainable parameters are already chosen.
        stage: The entry of the recipe.
        seed: Seed of the stage.
        batches: Item k is micro-batch k, already collated, a pure function of k.
        losses: Losses of the stage, in the recipe's order.
        folder: Where checkpoints go.
    """

    optimizer: Any
    lr_scheduler: Any

    def __init__(
        self, model: Any, stage: StageSpec, seed: int, batches: Dataset[Any], losses: Sequence[StageLoss], folder: Path
    ) -> None:
        self.stage = stage
        self.losses = losses
        self.folder = folder
        self.meter = Meter()
        self.last_loss: float | None = None
        self.keep_checkpoints = 2
        self.on_report: Callable[[StepReport], None] = lambda report: None
        self.on_step: Callable[[int], None] = lambda step: None
        self.should_stop: Callable[[], bool] = lambda: False
        self._num_items: list[float] = []
        self._step_loss = 0.0
        self._step_parts: dict[str, float] = {}
        self._grad_norm = self._rate = math.nan
        self._clock = (time.monotonic(), 0)
        super().__init__(model=model, args=_arguments(stage, seed, folder), train_dataset=batches)
        if self.args.world_size > 1:
            raise ConfigError("This engine trains in one process; start it without torchrun.")
        self.remove_callback(PrinterCallback)
        # Contract: compute_loss divides by the items of the whole optimiser step, so nothing divides again.
        self.loss_is_scaled_for_ga = True

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return micro-batches 0, 1, 2, ...; transformers skips by index when it resumes, nothing is replayed."""
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=_only)

    def create_optimizer(self, model: Any = None) -> Any:
        """Build AdamW with the stage's rates."""
        if self.optimizer is None:
            self.optimizer = build_optimiser(self.trained_parameters(), self.stage)
        return self.optimizer

    def trained_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return everything that trains, by name: of the model, and of the losses."""
        named = {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        return {**named, **self.loss_parameters()}

    def loss_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return what the losses learn beside the model."""
        return {
            f"{LOSS_PREFIX}{loss.spec.label}.{name}": parameter
            for loss in self.losses
            for name, parameter in loss.parameters.items()
        }

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Build the stage's learning-rate curve."""
        if self.lr_scheduler is None:
            self.lr_scheduler = build_scheduler(self.optimizer, self.stage)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> int:
        """Count the items of each loss over the whole optimiser step."""
        for batch in batch_samples:
            self._fill(batch)
        self._num_items = [sum(loss.num_items(batch) for batch in batch_samples) for loss in self.losses]
        self.meter.tokens += sum(_num_tokens(batch) for batch in batch_samples)
        self._step_loss, self._step_parts = 0.0, {}
        return 1

    def _fill(self, batch: dict[str, Any]) -> None:
        for loss in self.losses:
            if loss.fills:
                batch.update(self._prepare_inputs(batch))
                loss.fill(self.model, batch)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the weighted sum of the losses, each divided by its items of the whole optimiser step."""
        total: Tensor | float = 0.0
        forward = Forward(model, inputs, any(loss.needs_layers for loss in self.losses))
        progress = self.state.global_step / self.stage.steps
        for loss, num_items in zip(self.losses, self._num_items, strict=True):
            part = loss.loss_sum(forward) / max(num_items, 1e-9)
            total = total + loss.weight_at(progress) * part
            name = str(loss.spec.label)
            self._step_parts[name] = self._step_parts.get(name, 0.0) + float(part.detach())
        assert isinstance(total, Tensor)
        self._step_loss += float(total.detach())
        return total

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: operations are not counted."""
        return 0

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Guard the step: called once before each optimiser step, after clipping."""
        gradients = [parameter.grad for parameter in self.trained_parameters().values() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients) if grad_norm is None else torch.as_tensor(grad_norm)
        self._grad_norm = float(norm)
        self._rate = float(self.lr_scheduler.get_last_lr()[0])
        if math.isfinite(self._grad_norm) and math.isfinite(self._step_loss):
            self.meter.bad_steps = 0
            return norm
        self._skip_step(self.state.global_step + 1)
        return norm

    def _skip_step(self, step: int) -> None:
        self.meter.bad_steps += 1
        self.meter.skipped += 1
        logger.warning("step %d skipped: loss %s, gradient norm %s", step, self._step_loss, self._grad_norm)
        if self.meter.bad_steps >= MAX_BAD_STEPS:
            kept = checkpoints.latest_checkpoint(self.folder)
            where = f"The last good checkpoint is {kept}." if kept else "There is no checkpoint yet."
            raise TrainingError(
                f"Stage {self.stage.name}: {MAX_BAD_STEPS} steps in a row had a loss or gradient that is not finite "
                f"(step {step}). {where} Lower the learning rate or use precision fp32, then run again "
                "with --resume or a new --out folder."
            )
        # Contract: AdamW leaves a parameter without gradient untouched, decay included.
        for parameter in self.trained_parameters().values():
            parameter.grad = None

    def finish_step(self) -> None:
        """Account for an optimiser step; the callback calls it at its end."""
        if self.meter.bad_steps == 0:
            self.meter.loss += self._step_loss
            self.meter.steps += 1
            for name, value in self._step_parts.items():
                self.meter.parts[name] = self.meter.parts.get(name, 0.0) + value
        for parameter in self.loss_parameters().values():  # transformers clears the model's own gradients
            parameter.grad = None
        step = self.state.global_step
        self.on_step(step)
        if step % self.stage.log_every == 0 or step == self.stage.steps:
            report = self._report(step)
            self.last_loss = report.loss
            self.on_report(report)
            self.meter.loss, self.meter.steps, self.meter.parts = 0.0, 0, {}

    def _report(self, step: int) -> StepReport:
        now, (then, tokens) = time.monotonic(), self._clock
        self._clock = (now, self.meter.tokens)
        steps = max(1, self.meter.steps)
        return StepReport(
            step=step,
            num_steps=self.stage.steps,
            loss=self.meter.loss / steps if self.meter.steps else None,
            parts={name: value / steps for name, value in self.meter.parts.items()},
            learning_rate=self._rate,
            grad_norm=self._grad_norm if math.isfinite(self._grad_norm) else None,
            tokens=self.meter.tokens,
            tokens_per_second=max(0, self.meter.tokens - tokens) / max(now - then, 1e-9),
        )

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint atomically, then drop the oldest ones."""
        final = checkpoints.checkpoint_path(self.folder, self.state.global_step)
        with checkpoints.atomic_folder(final) as folder:
            checkpoints.write_tensors(folder / _WEIGHTS, {**trained_tensors(self.model), **self.loss_parameters()})
            checkpoints.write_tensors(folder / _OPTIMISER, optimiser_tensors(self.optimizer))
            save_random_state(folder)
            (folder / _METER).write_text(json.dumps(asdict(self.meter)))
            self.state.save_to_json(str(folder / _STATE))
        checkpoints.prune_checkpoints(self.folder, self.keep_checkpoints)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        load_trained_tensors(self.model, checkpoints.read_tensors(folder / _WEIGHTS), self.loss_parameters())
        self.meter = Meter(**json.loads((folder / _METER).read_text()))
        self._clock = (time.monotonic(), self.meter.tokens)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            tensors = checkpoints.read_tensors(Path(checkpoint) / _OPTIMISER)
            restore_optimiser(self.optimizer, tensors, self.lr_scheduler, self._resumed_step(checkpoint))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_random_state(Path(checkpoint))

    @staticmethod
    def _resumed_step(checkpoint: str) -> int:
        return int(json.loads((Path(checkpoint) / _STATE).read_text())["global_step"])


def _arguments(stage: StageSpec, seed: int, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=stage.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=stage.accumulation,
        max_grad_norm=stage.optimiser.max_grad_norm,
        save_strategy="steps",
        save_steps=stage.save_every,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )


def _only(items: list[Any]) -> Any:
    return items[0]


def _num_tokens(batch: Any) -> int:
    """Return the tokens read, padding left out; the images where a stage reads no text."""
    if "num_tokens" in batch:
        return int(batch["num_tokens"])
    return int(batch["vision_features"].shape[0]) if "vision_features" in batch else 0
