"""One progress bar on stderr for verbs that answer many questions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_lines(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function of (what, done, total): a bar on a terminal, else one line per part, on stderr."""
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

    def report(what: str, done: int, total: int) -> None:
        if what not in rows:
            rows[what] = bar.add_task(what, total=total)
        bar.update(rows[what], completed=done)
        if done == total and not console.is_terminal:
            console.print(f"{what}: {done} {unit}", highlight=False)

    with bar:
        yield report
