from __future__ import annotations

import sys

import pytest

from geoprose.core.child_processes import child_environment, threads_each, working_beside


@pytest.mark.parametrize(("threads", "processes", "each"), [(8, 2, 4), (3, 2, 1), (1, 4, 1)])
def test_threads_are_divided_and_nobody_has_none(threads: int, processes: int, each: int) -> None:
    assert threads_each(threads, processes) == each


def test_children_keep_freed_memory_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "128")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environment = child_environment(3)
    assert environment["MALLOC_MMAP_MAX_"] == "0"
    assert "MALLOC_TRIM_THRESHOLD_" not in environment
    assert environment["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(("codes", "expected"), [((0, 0), ""), ((0, 3), "It ended with status 3.")])
def test_a_process_that_fails_without_a_word_is_known_by_its_status(codes: tuple[int, ...], expected: str) -> None:
    commands = [[sys.executable, "-c", f"raise SystemExit({code})"] for code in codes]
    with working_beside(commands, 1) as failure:
        assert failure() == expected


def test_what_still_runs_when_the_block_fails_is_ended() -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(KeyError), working_beside([sleeper], 1):
        raise KeyError
