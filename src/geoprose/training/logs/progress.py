"""What a person sees while a stage runs: a bar on a terminal, plain lines elsewhere; and the JSONL log."""

from __future__ import annotations

import json
import logging
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from geoprose.training.checkpoints.state import StepReport
    from geoprose.training.logs.trackers import Tracker

logger = logging.getLogger(__name__)

LOG_FILE = "log.jsonl"
_LINE_EVERY_S = 15.0


class Display:
    """Progress of one piece of work with rate and time left, on stderr.

    Args:
        title: What is being done.
        total: Units of work.
        done: Units that were done before.
        unit: Name of a unit, for the rate.
    """

    def __init__(self, title: str, total: int, done: int = 0, unit: str = "step") -> None:
        self.title, self.total, self.unit = title, total, unit
        self._first = done
        self._start = self._last_line = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        if total and sys.stderr.isatty():
            self._open_bar(done)

    def update(self, done: int, note: str = "") -> None:
        """Show that ``done`` units are finished."""
        now = time.monotonic()
        rate = (done - self._first) / max(now - self._start, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, rate=rate, note=note)
        elif self.total and (done >= self.total or now - self._last_line >= _LINE_EVERY_S):
            self._last_line = now
            left_s = (self.total - done) / rate if rate > 0 else float("nan")
            text = f"{self.title}: {done}/{self.total}, {rate:.2f} {self.unit}/s, {left_s:.0f} s left"
            sys.stderr.write(f"{text}  {note}\n".replace("  \n", "\n"))
            sys.stderr.flush()

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar is not None:
            self._bar.stop()

    def _open_bar(self, done: int) -> None:
        from rich import progress as rich_progress
        from rich.console import Console

        self._bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TextColumn("{task.fields[rate]:.2f} " + self.unit + "/s"),
            rich_progress.TimeRemainingColumn(),
            rich_progress.TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(self.title, total=self.total, completed=done, rate=0.0, note="")
        self._bar.start()


@contextmanager
def display(title: str, total: int, done: int = 0, unit: str = "step") -> Iterator[Display]:
    """Show progress while the block runs."""
    shown = Display(title, total, done, unit)
    try:
        yield shown
    finally:
        shown.close()


class RunLog:
    """``log.jsonl``, one line a report, and TensorBoard files when tensorboard is installed.

    Args:
        folder: Folder of the stage.
        stage: Name of the stage.
        last_step: Lines after this step are dropped: they belong to work that a resumed run does again.
        trackers: Services that get the same numbers.
    """

    def __init__(self, folder: Path, stage: str, last_step: int, trackers: Sequence[Tracker] = ()) -> None:
        self.path = folder / LOG_FILE
        self.stage = stage
        folder.mkdir(parents=True, exist_ok=True)
        self.trackers = tuple(trackers)
        self._drop_after(last_step)
        self._board = _tensorboard(folder / "tensorboard", last_step)

    def write(self, report: StepReport) -> None:
        """Append one line."""
        row = {"stage": self.stage, **asdict(report)}
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")
        names = ("loss", "learning_rate", "grad_norm", "tokens_per_second")
        values = {f"train/{name}": float(row[name]) for name in names if row[name] is not None}
        values.update({f"train/loss_{name}": value for name, value in report.parts.items()})
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, report.step)
        for tracker in self.trackers:
            tracker.write(report.step, values)

    def close(self) -> None:
        """Flush TensorBoard and end the runs of the trackers."""
        if self._board is not None:
            self._board.close()
        for tracker in self.trackers:
            tracker.close()

    def _drop_after(self, last_step: int) -> None:
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        kept = [line for line in lines if _step_of(line) <= last_step]
        self.path.write_text("".join(line + "\n" for line in kept))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError, TypeError):  # a line that a killed process left half-written
        return float("inf")


def _tensorboard(folder: Path, last_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("tensorboard is not installed; the log is in %s", LOG_FILE)
        return None
    return SummaryWriter(str(folder), purge_step=last_step + 1)
