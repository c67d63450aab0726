from __future__ import annotations

import pytest

from geoprose.core.child_processes import child_environment, threads_each


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
