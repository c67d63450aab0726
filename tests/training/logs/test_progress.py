"""Progress lines and the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geoprose.training.checkpoints.state import StepReport
from geoprose.training.logs.progress import RunLog, display

if TYPE_CHECKING:
    from pathlib import Path


def _report(step: int, loss: float | None = 1.5) -> StepReport:
    return StepReport(step, 4, loss, {"lm": 1.5}, 1e-3, 0.5, 100 * step, 50.0)


def test_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with display("stage align", 4) as shown:
        shown.update(1)
        shown.update(4, "loss 1.5000")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("stage align: 4/4, ")
    assert captured.err.endswith("step/s, 0 s left  loss 1.5000\n")


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with display("stage align", 4, done=1) as shown:
        shown.update(4, "loss 1.5000")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "4/4" in captured.err


def test_log_lines_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "align", 0)
    for step in (1, 2, 3):
        log.write(_report(step, None if step == 2 else 1.5))
    log.close()
    with log.path.open("a") as handle:
        handle.write('{"step": 4, "half-writ')
    again = RunLog(tmp_path, "align", 2)
    again.write(_report(3))
    again.close()
    rows = [json.loads(line) for line in again.path.read_text().splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 1.5), (2, None), (3, 1.5)]
    assert rows[0]["stage"] == "align"
    assert rows[0].keys() >= {"learning_rate", "grad_norm", "tokens_per_second"}


def test_tensorboard_files_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    log = RunLog(tmp_path, "align", 0)
    log.write(_report(1))
    log.close()
    assert list((tmp_path / "tensorboard").glob("events.*"))
