"""Trackers get the numbers of the log; absent ones are refused before anything is trained."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ResourceError
from geoprose.training.checkpoints.state import StepReport
from geoprose.training.logs import trackers
from geoprose.training.logs.progress import RunLog
from geoprose.training.logs.trackers import TrackedRun, check_trackers, open_trackers

if TYPE_CHECKING:
    from pathlib import Path

REPORT = StepReport(5, 10, 0.5, {"lm": 0.5}, 1e-3, None, 100, 50.0)
VALUES = {"train/loss": 0.5, "train/learning_rate": 1e-3, "train/tokens_per_second": 50.0, "train/loss_lm": 0.5}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, Any]]:
    """Every call to a fake wandb, trackio or mlflow: (package.function, positional, named)."""
    seen: list[tuple[str, Any, Any]] = []
    functions = ("init", "log", "finish", "set_experiment", "start_run", "log_dict", "log_metrics", "end_run")
    for name in trackers.TRACKERS:
        module = types.ModuleType(name)
        for function in functions:
            record = lambda *args, at=f"{name}.{function}", **named: seen.append((at, args, named))  # noqa: E731
            setattr(module, function, record)
        monkeypatch.setitem(sys.modules, name, module)
    return seen


def _write(folder: Path, name: str) -> None:
    run = TrackedRun("recipe-align", folder, {"seed": 3})
    log = RunLog(folder, "align", 0, open_trackers(("jsonl", "tensorboard", name), run))
    log.write(REPORT)
    log.close()


def test_wandb_goes_on_with_the_same_run(calls: list[tuple[str, Any, Any]], tmp_path: Path) -> None:
    _write(tmp_path, "wandb")
    _write(tmp_path, "wandb")
    assert [call[0] for call in calls[:3]] == ["wandb.init", "wandb.log", "wandb.finish"]
    assert calls[0][2]["config"] == {"seed": 3}
    assert calls[0][2]["id"] == calls[3][2]["id"]
    assert calls[0][2]["resume"] == "allow"
    assert calls[1][1:] == ((VALUES,), {"step": 5})


def test_trackio_names_the_run_by_its_folder(calls: list[tuple[str, Any, Any]], tmp_path: Path) -> None:
    _write(tmp_path / "a", "trackio")
    _write(tmp_path / "b", "trackio")
    assert calls[0][2]["name"] != calls[3][2]["name"]
    assert calls[1] == ("trackio.log", (VALUES,), {"step": 5})


def test_mlflow(calls: list[tuple[str, Any, Any]], tmp_path: Path) -> None:
    _write(tmp_path, "mlflow")
    assert [call[0].partition(".")[2] for call in calls] == [
        "set_experiment",
        "start_run",
        "log_dict",
        "log_metrics",
        "end_run",
    ]
    assert calls[3][1:] == ((VALUES,), {"step": 5})


def test_an_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_trackers(("jsonl", "tensorboard"))
    with pytest.raises(ResourceError, match="pip install wandb"):
        check_trackers(("jsonl", "wandb"))
