"""One evaluation, its questions shared by processes of this machine.

Decoding is many small operations, which two processes of one thread each do almost twice as fast as two threads. Each
process answers a shard; the one that finishes last puts them together and scores.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geoprose.core.child_processes import threads_each, working_beside
from geoprose.core.errors import TaskError
from geoprose.evaluation.resume import Shard, Workplace
from geoprose.evaluation.run import RESULT_NAME, evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.evaluation.run_options import EvaluateOptions


def evaluate_in_processes(
    system: str | Path, task: str, dirs: tuple[Path, Path], options: EvaluateOptions, num_processes: int
) -> dict[str, Any]:
    """Evaluate as ``evaluate`` does; this process answers the first shard, others that it starts the rest.

    Args:
        system: Name of a preset or the directory of a saved system; every process loads it.
        task: Name of a built-in task, or path of a task's YAML.
        dirs: Dataset directory, and where everything is written.
        options: How to evaluate; ``shard`` is not read, ``blind`` must be a path, and the report is always written.
        num_processes: Processes; the threads of this one are divided among them.

    Returns:
        The content of ``result.json``.

    Raises:
        TaskError: What ``evaluate`` raises, or if another process failed; what is answered stays, to be gone on with.
    """
    if not options.is_resume:
        Workplace(dirs[1], Shard(1, num_processes)).clear()
    own = replace(options, is_resume=True, shard=Shard(1, num_processes))
    commands = [_command(system, task, dirs, options, f"{n}/{num_processes}") for n in range(2, num_processes + 1)]
    with threads_divided(num_processes) as threads, working_beside(commands, threads) as failure_of_others:
        result = evaluate(system, task, *dirs, own)
        if words := failure_of_others():
            raise TaskError(f"A process that answered a part of {task} failed; run again to go on.\n{words}")
    if "waiting_for" in result:
        result = json.loads((dirs[1] / RESULT_NAME).read_text(encoding="utf-8"))
    return result


def _command(system: str | Path, task: str, dirs: tuple[Path, Path], options: EvaluateOptions, shard: str) -> list[str]:
    words = [sys.executable, "-m", "geoprose.cli", "evaluate", str(system), "--task", task, "--shard", shard]
    words += ["--data", str(dirs[0]), "--out", str(dirs[1]), "--batch-size", str(options.batch_size), "--json"]
    for name, value in (("limit", options.limit), ("shots", options.shots), ("blind", options.blind)):
        words += [] if value is None else [f"--{name}", str(value)]
    return words if options.previous is None else [*words, "--baseline", str(options.previous)]


@contextmanager
def threads_divided(num_processes: int) -> Iterator[int]:
    """Divide this process's threads while the block runs; gives each process's number."""
    import torch

    before = torch.get_num_threads()
    threads = threads_each(before, num_processes)
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)
