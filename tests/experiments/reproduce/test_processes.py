"""One reproduction in several processes of this machine."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from geoprose.core.errors import ConfigError, TaskError
from geoprose.experiments.reproduce import processes
from geoprose.experiments.reproduce.processes import reproduce_in_processes, usual_processes
from geoprose.experiments.reproduce.run import ReproduceOptions, run_reproduction
from tests.experiments.reproduce.pictures import write_scenes
from tests.experiments.reproduce.toy import make_known

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    make_known(monkeypatch)


@pytest.mark.usefixtures("toy")
def test_another_process_that_fails_is_reported_and_threads_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no memory left')"])
    threads = torch.get_num_threads()
    with pytest.raises(TaskError, match=r"run again to go on.*\n.*no memory left"):
        reproduce_in_processes("toy", tmp_path / "run", ReproduceOptions(seeds=1), 2)
    assert torch.get_num_threads() == threads
    assert json.loads((tmp_path / "run" / "result.json").read_text())["missing"] == [], "what this process did stays"


def test_bad_options_end_the_others_and_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean"):
        reproduce_in_processes("fusion", tmp_path / "run", ReproduceOptions(arms=("concat-adaptd",)), 2)
    assert not (tmp_path / "run").exists()


def test_the_other_process_is_told_everything(tmp_path: Path) -> None:
    options = ReproduceOptions("tiny", 2, tmp_path, ("steps=3", "methods=[minillm]"), "train", ("plain", "minillm"))
    words = processes._command("distillation", tmp_path / "run", options)
    told = " ".join(words)
    assert f"reproduce distillation --processes 1 --json --out {tmp_path / 'run'} --scale tiny --seeds 2" in told
    assert f"--data {tmp_path} --only train --arm plain --arm minillm --set steps=3 --set methods=[minillm]" in told


@pytest.mark.parametrize(
    ("threads", "has_card", "options", "expected"),
    [
        (2, False, ReproduceOptions(), 2),
        (1, False, ReproduceOptions(), 1),
        (2, True, ReproduceOptions(), 1),
        (2, False, ReproduceOptions(scale="tiny"), 1),
        (2, False, ReproduceOptions(only="report"), 1),
    ],
)
def test_two_processes_where_processors_have_work_for_them(
    monkeypatch: pytest.MonkeyPatch, threads: int, has_card: bool, options: ReproduceOptions, expected: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_card)
    assert usual_processes(options) == expected


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(tmp_path: Path) -> None:
    data = write_scenes(tmp_path / "scenes")
    options = ReproduceOptions("tiny", 2, data, ("steps=3", "batch_size=4", "vocabulary=200"))
    alone = run_reproduction("alignment", tmp_path / "one", options)
    shared = reproduce_in_processes("alignment", tmp_path / "two", options, 2)
    assert shared["arms"] == alone["arms"]
    assert shared["missing"] == []
