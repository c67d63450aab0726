"""One progress bar on stderr for verbs that answer many questions."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def progress_lines(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function of (what, done, total): a bar on a terminal, else a line now and then, on stderr.

    Both say how long the rest will take; what was done before the first call, by a run that is gone on with, is not
    counted as speed.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    rows = {}
    paces: dict[str, _Pace] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in rows:
            rows[what] = bar.add_task(what, total=total)
            paces[what] = _Pace(done)
        bar.update(rows[what], completed=done)
        if done == total and not console.is_terminal:
            console.print(f"{what}: {done} {unit}", highlight=False)
        elif not console.is_terminal and paces[what].is_due():
            left = paces[what].left_s(done, total)
            console.print(f"{what}: {done} of {total} {unit}, about {left:.0f} s left", highlight=False)

    with bar:
        yield report


class _Pace:
    """How fast one part goes, and when its next line is due."""

    def __init__(self, done: int) -> None:
        self._first = done
        self._started = self._last = time.monotonic()

    def is_due(self) -> bool:
        """Tell whether a line should be written, and count from now if so."""
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return False
        self._last = now
        return True

    def left_s(self, done: int, total: int) -> float:
        """Return the seconds that the rest takes at the pace so far."""
        return (time.monotonic() - self._started) / max(done - self._first, 1) * (total - done)
