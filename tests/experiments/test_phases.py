from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from geoprose.experiments.phases import Phases


def test_phases_are_timed_in_order_and_announced() -> None:
    announced: list[str] = []
    phases = Phases(announced.append)
    with phases("first"):
        time.sleep(0.05)
    with phases("second"):
        pass
    assert announced == ["first", "second"] == list(phases.seconds)
    assert phases.seconds["first"] >= 0.05 > phases.seconds["second"]


def test_a_failing_phase_is_timed_and_raises() -> None:
    phases = Phases()
    with pytest.raises(RuntimeError, match="boom"), phases("bad"):
        raise RuntimeError("boom")
    assert "bad" in phases.seconds


def test_peak_memory_counts_what_was_held() -> None:
    phases = Phases()
    before = phases.peak_memory_gib()
    block = bytearray(200 * 2**20)
    block[:: 2**12] = b"x" * len(block[:: 2**12])
    assert phases.peak_memory_gib() >= max(before, 0.19)


def test_processes_that_work_at_once_are_added_up() -> None:
    code = "import time; block = bytearray(150 * 2**20); block[::4096] = b'x' * len(block[::4096]); time.sleep(3)"
    phases = Phases()
    own = psutil.Process().memory_info().rss / 2**30
    with phases("two"):
        children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
        for child in children:
            child.wait()
    assert phases._sampled / 2**30 > own + 0.25  # the process's own peak may be larger, from tests before
