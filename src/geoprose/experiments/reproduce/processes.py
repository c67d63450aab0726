"""One reproduction, its trials shared by processes of this machine: two of one thread are faster than two threads."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.child_processes import working_beside
from geoprose.core.errors import TaskError
from geoprose.evaluation.processes import threads_divided
from geoprose.experiments.reproduce.run import ReproduceOptions, run_reproduction

if TYPE_CHECKING:
    from pathlib import Path


def usual_processes(options: ReproduceOptions) -> int:
    """Return how many processes suit: two where processors do the work and there is work for two, else one."""
    has_work = options.scale == "small" and options.only not in ("cost", "report")
    return 2 if has_work and torch.get_num_threads() > 1 and not torch.cuda.is_available() else 1


def reproduce_in_processes(name: str, out_dir: Path, options: ReproduceOptions, num_processes: int) -> dict[str, Any]:
    """Reproduce as ``run_reproduction`` does; this process and others that it starts take one trial after another.

    Args:
        name: Name in ``REPRODUCTIONS``.
        out_dir: Folder of the run.
        options: How to reproduce.
        num_processes: Processes; the threads of this one are divided among them.

    Returns:
        The content of ``result.json``.

    Raises:
        GeoproseError: What ``run_reproduction`` raises; TaskError if another process failed. What is done stays.
    """
    if num_processes == 1:
        return run_reproduction(name, out_dir, options)
    commands = [_command(name, out_dir, options)] * (num_processes - 1)
    with threads_divided(num_processes) as threads, working_beside(commands, threads) as failure_of_others:
        run_reproduction(name, out_dir, options)
        if words := failure_of_others():
            raise TaskError(f"A process that shared the trials of {name} failed; run again to go on.\n{words}")
    return run_reproduction(name, out_dir, replace(options, only="report"))


def _command(name: str, out_dir: Path, options: ReproduceOptions) -> list[str]:
    words = [sys.executable, "-m", "geoprose.cli", "reproduce", name, "--processes", "1", "--json"]
    words += ["--out", str(out_dir), "--scale", options.scale, "--seeds", str(options.seeds)]
    words += [] if options.data_dir is None else ["--data", str(options.data_dir)]
    words += [] if options.only is None else ["--only", options.only]
    words += [word for arm in options.arms for word in ("--arm", arm)]
    return words + [word for change in options.overrides for word in ("--set", change)]
