"""The same run, its steps divided over processes of this machine.

On processors, two processes of one thread each are faster than two threads of one process: threads wait for each other
in every small operation, processes only once a step.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.child_processes import child_environment, threads_each
from geoprose.core.errors import ConfigError, GeoproseError, InputError, ResourceError, TrainingError
from geoprose.training.processes.elsewhere import absolute, finished_run
from geoprose.training.processes.signals import handlers_kept, stopped_by
from geoprose.training.recipes import load_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from geoprose.training.run import RunResult
    from geoprose.training.specs.recipe import RecipeSpec
    from geoprose.training.specs.stage import StageSpec

_SECONDS_TO_STOP = 120
"""How long a process that was told to stop may take for its step and its checkpoint."""
_QUIET = {"TORCH_CPP_LOG_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore::FutureWarning:accelerate.accelerator"}
"""Environment of processes whose user has not set it: each would print two warnings that nobody here can act on."""
_ERRORS: dict[int, type[GeoproseError]] = {error.exit_code: error for error in (ConfigError, ResourceError, InputError)}


def run_on_this_machine(arguments: Mapping[str, Any], num_processes: int) -> RunResult:
    """Train a recipe in processes that share the micro-batches of each step; the result is that of one.

    Several are those of torchrun, and the first one writes its progress to this process's stderr. One is this process.

    Args:
        arguments: Of ``run_recipe``, by name.
        num_processes: Processes that train together; the threads of this one are divided among them.

    Raises:
        ConfigError: If a stage's step cannot be divided, or the recipe is wrong.
        Interrupted: If Ctrl-C stopped the processes, after their checkpoint; Terminated after SIGTERM.
        GeoproseError: Of the kind that the first failed process ended with.
    """
    if num_processes == 1:
        from geoprose.training.run import run_recipe

        return run_recipe(**arguments)
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    told = absolute(arguments)
    overrides = list(told.get("overrides", ()))
    told["overrides"] = overrides + divided(load_recipe(told["recipe"], overrides), num_processes)
    logs = tempfile.mkdtemp(prefix="geoprose-")
    quiet = {rank: Std.ALL if rank else Std.OUT for rank in range(num_processes)}
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id="geoprose",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(logs, redirects=quiet),
        shutdown_timeout=_SECONDS_TO_STOP,
    )
    try:
        with handlers_kept(), _launcher(threads_each(torch.get_num_threads(), num_processes)):
            elastic_launch(config, sys.executable)(*_command(told))
    except SignalException as error:
        shutil.rmtree(logs, ignore_errors=True)
        how = f"Continue with the same command and --resume (folder {told['out_dir']})."
        raise stopped_by(error.sigval, how) from error
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        kind = _ERRORS.get(failure.exitcode, TrainingError)
        raise kind(
            f"Process {rank} of {num_processes} ended with status {failure.exitcode}. The first one says above what "
            f"happened, the others in {logs}. What is written is whole: go on with --resume."
        ) from error
    shutil.rmtree(logs, ignore_errors=True)
    return finished_run(told["out_dir"])


def divided(recipe: RecipeSpec, num_processes: int) -> list[str]:
    """Return overrides with which ``num_processes`` processes take the very steps that one takes without them.

    Raises:
        ConfigError: If a stage's step holds a number of rows that cannot be divided.
    """
    return [f"stages.{index}.{_share(stage, num_processes)}" for index, stage in enumerate(recipe.stages)]


def _share(stage: StageSpec, num_processes: int) -> str:
    # Why micro-batches first: their rows stay together. Why not rows grouped by length: other groups, other steps.
    names = ("accumulation",) if stage.packing == "length_grouped" else ("accumulation", "batch_size")
    for name in names:
        value = getattr(stage, name)
        if value % num_processes == 0:
            return f"{name}={value // num_processes}"
    raise ConfigError(
        f"Stage {stage.name} takes {stage.accumulation} micro-batches of {stage.batch_size} rows a step, which "
        f"{num_processes} processes cannot share. Change its accumulation, or the number of processes."
    )


def _command(told: Mapping[str, Any]) -> list[str]:
    words = ["-m", "geoprose.cli", "train", str(told["recipe"]), "--out", str(told["out_dir"])]
    words += [word for change in told["overrides"] for word in ("--set", change)]
    words += ["--data", str(told["data_dir"])] if told.get("data_dir") is not None else []
    return words + (["--resume"] if told.get("resume") else [])


@contextmanager
def _launcher(num_threads: int) -> Iterator[None]:
    """Let processes that start in the block use so many threads, and keep torch's launcher quiet about their ends."""
    logger = logging.getLogger("torch.distributed.elastic")
    level, before = logger.level, dict(os.environ)
    logger.setLevel(logging.CRITICAL)  # the error of the caller says it better
    changed = {**_QUIET, **before, **child_environment(num_threads)}
    os.environ.update(changed)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name in changed.keys() - before.keys():
            os.environ.pop(name)
        os.environ.update(before)
