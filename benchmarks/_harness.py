"""What every benchmark shares: interleaved runs, CPU seconds, medians, and one JSON object as the last line."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")


def process_cpu_seconds(command: Sequence[str]) -> float:
    """CPU seconds (user and system) of one whole child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def call_cpu_seconds(function: Callable[[], object]) -> float:
    """CPU seconds of one call in this process."""
    start = time.process_time()
    function()
    return time.process_time() - start


def in_fresh_process(module: str, call: str) -> float:
    """Return the number that ``call``, of a benchmark's ``module``, gives in a process of its own.

    There glibc gives back what is freed at once: else it keeps 30 to 60 MB of it, another amount in every run.
    """
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import {module}; print({module}.{call})"
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


def peak_rise_kib(function: Callable[[], object]) -> float:
    """How far the resident memory of this process rises during a call (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark: what came before must not hide the call
    before = _status_kib("VmRSS")
    function()
    return _status_kib("VmHWM") - before


def _status_kib(field: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return float(line.split()[1])


def interleave(measures: dict[str, Callable[[], float]], runs: int, warmup: int = 1) -> dict[str, float]:
    """Run every measure in turn, ``runs`` times after ``warmup``; return the median of each."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for index in range(runs + warmup):
        for name, measure in measures.items():
            seconds = measure()
            if index >= warmup:
                taken[name].append(seconds)
    return {name: statistics.median(values) for name, values in taken.items()}


def target(name: str, figure: float, bound: float, at_most: bool) -> dict[str, object]:
    """One line of ``targets``: what an issue asks and whether it was met."""
    met = figure <= bound if at_most else figure >= bound
    return {
        "name": name,
        "figure": float(f"{figure:.5g}"),  # differences are as small as 1e-7
        "target": f"{'<=' if at_most else '>='} {bound}",
        "met": bool(met),
    }


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, the machine and ``packages`` (those that are installed)."""
    found = {"python": platform.python_version(), "machine": f"{platform.machine()} x{os.cpu_count()}"}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def finish(result: dict[str, object]) -> None:
    """Print a readable summary to stderr and the result as the last line of stdout."""
    for item in result["targets"]:  # type: ignore[attr-defined]
        print(
            f"{'met ' if item['met'] else 'MISS'} {item['name']}: {item['figure']} ({item['target']})", file=sys.stderr
        )
    print(json.dumps(result))
