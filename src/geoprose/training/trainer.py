"""The one engine: transformers.Trainer with our losses, our order, our checkpoints."""

from __future__ import annotations

import logging
import math
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments

from geoprose.core.errors import TrainingError
from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.checkpoints.random_state import load_random_state
from geoprose.training.checkpoints.stage_checkpoint import read_optimiser, read_weights, write_checkpoint
from geoprose.training.checkpoints.state import Meter, StepReport
from geoprose.training.module import StageModule
from geoprose.training.optimiser import build_optimiser, build_scheduler, restore_optimiser
from geoprose.training.processes import distributed, sharding, zero3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from geoprose.training.losses.base import StageLoss
    from geoprose.training.specs.stage import StageSpec

logger = logging.getLogger(__name__)

MAX_BAD_STEPS = 3


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
        self.sharding = "none"
        self.on_report: Callable[[StepReport], None] = lambda report: None
        self.on_step: Callable[[int], None] = lambda step: None
        self.should_stop: Callable[[], bool] = lambda: False
        self._num_items: list[float] = []
        self._step_parts: list[float] = []
        self._step_figures: dict[str, float] = {}
        self._step_loss = 0.0
        self._grad_norm = self._rate = math.nan
        self._clock = (time.monotonic(), 0)
        self.module = StageModule(model, losses)
        own = distributed.RankShare(batches, stage.steps * stage.accumulation)
        super().__init__(model=self.module, args=_arguments(stage, seed, folder), train_dataset=own)
        self.remove_callback(PrinterCallback)
        # Contract: compute_loss divides by the items of the whole optimiser step, so nothing divides again.
        self.loss_is_scaled_for_ga = True

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return this process's micro-batches in order; transformers skips by index when it resumes."""
        workers = self.stage.num_workers
        return DataLoader(self.train_dataset, batch_size=1, shuffle=False, collate_fn=_only, num_workers=workers)

    def create_optimizer(self, model: Any = None) -> Any:
        """Cut the parameters over the processes where the recipe says so, and build AdamW with the stage's rates."""
        if self.optimizer is None:
            if self.sharding == "full" and distributed.world_size() > 1:
                self.model = self.model_wrapped = sharding.shard(self.module)
                self.is_distributed_loading_by_transformers = True  # the module reduces its own gradients
            if self.sharding == "zero3" and distributed.world_size() > 1:
                build = partial(build_optimiser, stage=self.stage)
                cut: Any = zero3.cut(self.module, build, self.args.max_grad_norm)
                self.model, self.model_wrapped, self.optimizer = cut
            else:
                self.optimizer = build_optimiser(self.model.trained(), self.stage)
        return self.optimizer

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        """Reduce gradients at the last micro-batch of a step only."""
        sharded: Any = self.model
        sharded.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            sharded.set_requires_gradient_sync(True)

    def finish(self) -> None:
        """Leave whole parameters in the model that was given; every process must call it after ``train``."""
        if self.model is not self.module:
            sharding.unshard(self.model, self.module)
        if isinstance(self.optimizer, zero3.Steps):
            self.optimizer.close()

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Build the stage's learning-rate curve."""
        if self.lr_scheduler is None:
            self.lr_scheduler = build_scheduler(getattr(self.optimizer, "plain", self.optimizer), self.stage)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> int:
        """Count the items of each loss over the whole optimiser step and all processes."""
        for batch in batch_samples:
            self._fill(batch)
        items = [sum(loss.num_items(batch) for batch in batch_samples) for loss in self.losses]
        tokens = sum(_num_tokens(batch) for batch in batch_samples)
        *self._num_items, tokens_of_all = distributed.sum_over_ranks([*items, tokens])
        self.meter.tokens += round(tokens_of_all)
        self._step_loss, self._step_parts, self._step_figures = 0.0, [0.0] * len(self.losses), {}
        return 1

    def _fill(self, batch: dict[str, Any]) -> None:
        for loss in self.losses:
            if loss.fills:
                batch.update(self._prepare_inputs(batch))
                loss.fill(self.module.model, batch)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the weighted sum of the losses, each divided by its items of the whole step of all processes."""
        total: Tensor | float = 0.0
        progress = self.state.global_step / self.stage.steps
        sums = model(inputs)
        for place, (loss, num_items) in enumerate(zip(self.losses, self._num_items, strict=True)):
            part = sums[place] / max(num_items, 1e-9)
            total = total + loss.weight_at(progress) * part
            self._step_parts[place] += float(part.detach())
            for key, value in loss.figures.items():
                name = f"{loss.spec.label}/{key}"
                self._step_figures[name] = self._step_figures.get(name, 0.0) + float(value) / max(num_items, 1e-9)
        assert isinstance(total, Tensor)
        self._step_loss += float(total.detach())
        return total * distributed.world_size()  # data-parallel training takes the mean over processes

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: operations are not counted."""
        return 0

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Guard the step: called once before each optimiser step, after clipping; all see the same numbers."""
        norm = sharding.whole(self._norm(model) if grad_norm is None else torch.as_tensor(grad_norm))
        self._step_loss, *self._step_parts = distributed.sum_over_ranks([self._step_loss, *self._step_parts])
        self._grad_norm = float(norm)
        self._rate = float(self.lr_scheduler.get_last_lr()[0])
        if math.isfinite(self._grad_norm) and math.isfinite(self._step_loss):
            self.meter.bad_steps = 0
            return norm
        self._skip_step(self.state.global_step + 1)
        return norm

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip and return the norm from before; DeepSpeed clips in its step."""
        return self._norm(model) if isinstance(self.optimizer, zero3.Steps) else super()._clip_grad_norm(model)

    def _norm(self, model: Any) -> Tensor:
        if isinstance(self.optimizer, zero3.Steps):
            return self.optimizer.norm()
        if self._has_mixed_mesh_grads(model):
            mixed: Tensor = self._mixed_mesh_grad_norm(model, math.inf)
            return mixed
        return torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])

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
        if isinstance(self.optimizer, zero3.Steps):
            self.optimizer.discard()
        # Contract: AdamW leaves a parameter without gradient untouched, decay included.
        for parameter in self.model.parameters():
            parameter.grad = None

    def finish_step(self) -> None:
        """Account for an optimiser step; the callback calls it at its end."""
        if self.meter.bad_steps == 0:
            self.meter.loss += self._step_loss
            self.meter.steps += 1
            figures = distributed.sum_over_ranks(list(self._step_figures.values()))
            names = [*(str(loss.spec.label) for loss in self.losses), *self._step_figures]
            for name, value in zip(names, [*self._step_parts, *figures], strict=True):
                self.meter.parts[name] = self.meter.parts.get(name, 0.0) + value
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
        write_checkpoint(final, self.model, self.optimizer, self.meter, self.state)
        if distributed.is_main():
            checkpoints.prune_checkpoints(self.folder, self.keep_checkpoints)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.meter = read_weights(Path(resume_from_checkpoint), self.module)
        self._clock = (time.monotonic(), self.meter.tokens)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            tensors, steps = read_optimiser(Path(checkpoint))
            restore_optimiser(self.optimizer, tensors, self.lr_scheduler, steps)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_random_state(Path(checkpoint))


def _arguments(stage: StageSpec, seed: int, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=stage.steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=stage.accumulation,
        max_grad_norm=stage.optimiser.max_grad_norm,
        save_strategy="no",  # the callback of the stage says when
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        ddp_find_unused_parameters=True,  # a micro-batch may show no picture
        ddp_broadcast_buffers=False,
    )


def _only(items: list[Any]) -> Any:
    return items[0]


def _num_tokens(batch: Any) -> int:
    """Return the tokens read, padding left out; the images where a stage reads no text."""
    if "num_tokens" in batch:
        return int(batch["num_tokens"])
    return int(batch["vision_features"].shape[0]) if "vision_features" in batch else 0
