"""SIGTERM and Ctrl-C ask the run to stop at the next safe point, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geoprose.core.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Interrupted(TrainingError):  # noqa: N818 - named after the event
    """Ctrl-C stopped the run after a checkpoint."""

    exit_code = 130


class Terminated(TrainingError):  # noqa: N818 - named after the event
    """SIGTERM stopped the run after a checkpoint."""

    exit_code = 143


class StopRequest:
    """Remembers the first signal; the loop asks when it is safe to stop."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def __bool__(self) -> bool:
        """Tell whether a stop was asked for."""
        return self.signal_number is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the signal; a second Ctrl-C stops at once."""
        if self.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number

    def error(self, how_to_continue: str) -> TrainingError:
        """Return the error that ends the run with the right exit status."""
        return stopped_by(self.signal_number, how_to_continue)


def stopped_by(signal_number: int | None, how_to_continue: str) -> TrainingError:
    """Return the error that ends a run that a signal stopped, with the right exit status."""
    if signal_number == signal.SIGTERM:
        return Terminated(f"Stopped by SIGTERM. {how_to_continue}")
    return Interrupted(f"Interrupted. {how_to_continue}")


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Put back the handlers of signals that the block changes; outside the main thread there is nothing to change."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def listen() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a request while the block runs; outside the main thread nothing changes."""
    request = StopRequest()
    with handlers_kept():
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, request.handle)
        yield request
